"""What is known: objects, claims about observables, what of them counts here now, and the views that a SIEM reads.

It decides nothing about trust or audience: what it is handed was verified, and who may be handed what it holds is
policy's business (but for the views, whose marking gate is in the schema).
"""
