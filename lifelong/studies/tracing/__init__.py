"""Knowledge tracing and assessment."""
