"""One partner's node: its parts, put together."""
