"""Threat intelligence as it is shared: bytes of STIX, lists and text to checked objects, canonical values,
markings and claims.

Pure: no clock, no disk, no network, no database; time is an argument, files come as bytes or open streams.
"""
