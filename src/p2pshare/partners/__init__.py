"""The partners of this node: their cards, their accounts, and when each was heard last."""
