"""A port for a daemon that a test stops and starts again."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below those that Linux gives to whoever dials (net.ipv4.ip_local_port_range): another test's connection took the port of a
# daemon that was about to start again.
_LOWEST, _HIGHEST = 15_000, 32_000
_drawn = random.SystemRandom()
_given: set[int] = set()
# Byte N is locked by the process that gave port N, until it ends: nobody listens on the port of a daemon that is yet to start,
# or is stopped for a while, and the other worker of the suite gave that port to a daemon of its own.
_taken = os.open(
    Path(tempfile.gettempdir()) / f"p2pshare-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600
)


def free_port() -> int:
    """Returns a port of 127.0.0.1 on which nobody listens, and which no test has been given, here or in another process."""
    while True:
        port = _drawn.randint(_LOWEST, _HIGHEST)
        if port in _given:
            continue
        try:
            fcntl.lockf(_taken, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
