"""Knowledge tracing and education."""
