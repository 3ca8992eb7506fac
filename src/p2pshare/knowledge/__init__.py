"""Knowledge: objects, claims about observables, what of them counts here now, and the views that a SIEM reads.

It decides nothing about trust or audience: the content it is handed was verified, and policy decides who may
be handed what it holds (but for the views, whose marking gate is in the schema).
"""
