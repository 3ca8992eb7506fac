"""Queries: lookup, search, explanations, status and alarms over what is held, and the doctor's look at the node."""
