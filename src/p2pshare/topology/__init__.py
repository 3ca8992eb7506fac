"""Topology: the federation as a graph, what is weak in it, and which links would mend that (pure)."""
