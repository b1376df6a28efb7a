"""Representation, meta-learning, theory."""
