"""Studies of what is represented, and by which rule it is learned."""
