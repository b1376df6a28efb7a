"""Continual learning and memory."""
