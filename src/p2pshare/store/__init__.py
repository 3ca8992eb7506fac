"""What is kept

 envelopes as received, frames, objects, observables and claims, in one SQLite file.:The only room that speaks SQL; decides nothing about trust or audience.
"""
