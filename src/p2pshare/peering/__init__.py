"""The door to other partners

 mutual TLS 1.3 and aiohttp, both directions.:Translates, never decides.
"""
