"""Range-based set reconciliation (Negentropy), and the audit that finds what it cannot see."""
