"""Language models that learn over time."""
