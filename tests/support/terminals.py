"""A terminal in which a person runs commands one after another: what is shown is read line by line, and answers are typed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30


class Terminal:
    """A terminal of one partner; its commands run in `folder`."""

    def __init__(self, partner: Any, folder: Path) -> None:
        self._partner = partner
        self._folder = folder
        self._ours = self._theirs = -1
        self._running: subprocess.Popen[bytes] | None = None
        self._shown = ""

    def begin(self, arguments: list[str]) -> None:
        self.end()
        self._ours, self._theirs = pty.openpty()
        self._shown = ""
        command = [sys.executable, "-m", "p2pshare", "--home", str(self._partner.home), *arguments]
        self._running = subprocess.Popen(
            command,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            cwd=self._folder,
            env=os.environ | {"NO_COLOR": "1"},
        )
        os.close(self._theirs)

    def read_line(self) -> str:
        """The next line, without its end; empty when the command has ended."""
        return self._read_until("\r\n").rstrip("\r\n")

    def read_prompt(self, prompt: str) -> str:
        return self._read_until(prompt)

    def type(self, text: str) -> None:
        os.write(self._ours, f"{text}\n".encode())

    def _read_until(self, end: str) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while end not in self._shown:
            assert time.monotonic() < deadline, f"{end!r} is not shown: {self._shown!r}"
            if not select.select([self._ours], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(self._ours, 65_536).decode()
            except OSError:  # a terminal without another end answers EIO (pty(7))
                return self._take(len(self._shown))
            self._shown += piece
        return self._take(self._shown.index(end) + len(end))

    def _take(self, length: int) -> str:
        taken, self._shown = self._shown[:length], self._shown[length:]
        return taken

    def end(self) -> int:
        """The exit code of what ran last, once it has ended."""
        if self._running is None:
            return 0
        with suppress(OSError):
            while select.select([self._ours], [], [], 0.2)[0] or self._running.poll() is None:
                if select.select([self._ours], [], [], 0.2)[0] and not os.read(self._ours, 65_536):
                    break
        code = self._running.wait(PATIENCE_SECONDS)
        os.close(self._ours)
        self._running = None
        return code
