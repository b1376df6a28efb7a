"""What a net says of what may not be answered."""

FORBIDDEN = -1e9
"""The logit of a class, or of a word, that an answer may not name."""
