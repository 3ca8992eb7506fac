"""Peer-to-peer threat sharing between partners: signed, encrypted, without a central server."""

__version__ = "0.1.0"
