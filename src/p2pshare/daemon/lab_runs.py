"""`autorun` in the section `[lab]`: rules that others wrote are tried here as they come, by the command that a person would type, one at a time and with the least
priority. The daemon itself opens no sample and runs no rule; a child that hangs is ended."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from p2pshare.operations.lab_autorun import DueRun

log = logging.getLogger(__name__)

AUTORUN_SECONDS = 60.0  # between two runs: at most 10 s of CPU in 60, with the least priority
RUN_SECONDS_MAX = 120.0  # of one command, of which the engine may take 10 s of CPU
ANSWER_BYTES_MAX = 65_536  # of what a command says, which is not shown but for its last line
EXIT_NOT_FOUND = 3  # its text, or all contents of its samples, are not here yet
EXIT_PARTLY_DONE = 6  # of some samples it said nothing: that is told, too
NICE_PROGRAM = "import os; os.nice(19); from p2pshare.__main__ import main; main()"


def run_command(home: Path, due: DueRun) -> list[str]:
    """Returns the command that tries a rule and tells the lab what came of it."""
    words = ("--home", str(home), "lab", "test", due.lab.text, due.digest.hex())
    return [sys.executable, "-P", "-c", NICE_PROGRAM, *words]


async def run_due(command: Sequence[str]) -> int:
    """Run a command and return its exit code; -1 for one that had to be ended."""
    child = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    assert child.stderr is not None
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            said = await child.stderr.read(ANSWER_BYTES_MAX)
            code = await child.wait()
    except TimeoutError:
        said, code = b"", -1
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    if code not in (0, EXIT_PARTLY_DONE, EXIT_NOT_FOUND):
        lines = said.decode("utf-8", "replace").strip().splitlines()
        log.warning(
            "a rule of a lab was not tried (exit code %d): %s", code, lines[0] if lines else "no word"
        )
    return code
