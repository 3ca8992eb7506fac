"""Range-based set reconciliation (Negentropy), and the audit that finds differences hidden from its fingerprints."""
