"""Curricula, agents, feedback."""
