"""Roads between real daemons: loopback ports that forward to a partner, and that a test can cut for one pair.

Who dials is told by the kernel: the process that owns the other end of the connection (Linux, /proc).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable

PIECE_BYTES = 64 * 1024


def owner_of_port(port: int, pids: dict[int, str]) -> str | None:
    """Which of these processes has a TCP socket bound to `port` on loopback; its name."""
    inodes = set()
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for pid, name in pids.items():
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{number}") in inodes:
                        return name
    return None


class Roads:
    """All roads of one test. `pids` tells which process is which partner now."""

    def __init__(self, pids: Callable[[], dict[int, str]]) -> None:
        self._pids = pids
        self._cut: set[frozenset[str]] = set()
        self._open: list[tuple[frozenset[str], socket.socket, socket.socket]] = []
        self._doors: list[socket.socket] = []
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()

    def leads(self, name: str, port: int) -> None:
        """Where the road to the partner `name` ends."""
        self._ports[name] = port

    def build(self, name: str) -> int:
        """A road to the partner `name`; the port where it begins."""
        door = socket.create_server(("127.0.0.1", 0))
        self._doors.append(door)
        threading.Thread(target=self._serve, args=(door, name), daemon=True).start()
        return int(door.getsockname()[1])

    def cut(self, left: str, right: str) -> None:
        """No connection between these two, neither now nor later."""
        pair = frozenset({left, right})
        with self._lock:
            self._cut.add(pair)
            closing = [one for one in self._open if one[0] == pair]
        for _, *ends in closing:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self, left: str, right: str) -> None:
        with self._lock:
            self._cut.discard(frozenset({left, right}))

    def close(self) -> None:
        for door in self._doors:
            door.close()
        for _, *ends in self._open:
            for end in ends:
                end.close()

    def _serve(self, door: socket.socket, name: str) -> None:
        while True:
            try:
                came, address = door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(came, address[1], name), daemon=True).start()

    def _carry(self, came: socket.socket, origin_port: int, name: str) -> None:
        origin = owner_of_port(origin_port, self._pids()) or "nobody"
        pair = frozenset({origin, name})
        with self._lock:
            is_cut = pair in self._cut
        try:
            if is_cut:
                raise ConnectionRefusedError
            onward = socket.create_connection(("127.0.0.1", self._ports[name]), timeout=5)
            onward.settimeout(None)
        except OSError:
            came.close()
            return
        with self._lock:
            self._open.append((pair, came, onward))
        back = threading.Thread(target=_drive, args=(onward, came), daemon=True)
        back.start()
        _drive(came, onward)
        back.join()
        came.close()
        onward.close()


def _drive(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
