"""Topology: the federation as a graph, the partners and links whose loss splits it, and links that would help (pure)."""
