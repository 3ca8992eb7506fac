"""Readers of inventories: each file reads one format into assets and components (`assets.Placed`), a piece at a time."""
