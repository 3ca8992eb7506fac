"""Queries: what is asked of what is held, and what is wrong with it."""
