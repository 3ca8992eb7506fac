"""What a partner does

publish, take in, look up, manage partners. The only room where intel, envelope, gossip, store and policy meet.:No HTTP, no terminal; synchronous, time is an argument.
"""
