"""A port for a daemon that a test stops and starts again."""

from __future__ import annotations

import random
import socket

# Below those that Linux gives to whoever dials (net.ipv4.ip_local_port_range): another test's connection took the port of a
# daemon that was about to start again.
_LOWEST, _HIGHEST = 15_000, 32_000
_drawn = random.SystemRandom()


def free_port() -> int:
    """Returns a port of 127.0.0.1 on which nobody listens."""
    while True:
        port = _drawn.randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
