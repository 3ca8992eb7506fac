"""Sharing: publish, take in, withdraw, assess, manage partners. Here intel, envelope, gossip, store and policy meet.

No HTTP, no terminal; synchronous, time is an argument.
"""
