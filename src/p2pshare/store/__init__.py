"""What is kept: envelopes as received, their frames, objects, observables and claims, in one SQLite file.

The only room that speaks SQL. It decides nothing about trust or audience: what it is handed was verified, and
who may be handed what it holds is policy's business (but for the SIEM views, whose marking gate is in the schema).
"""
