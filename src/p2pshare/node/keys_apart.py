"""The key file, opened in a process that ends: what it hands back is what a node works with, and no more.

The daemon reads what partners send, for months. So its memory never holds a root secret, the passphrase or what was
derived from it, not even for the length of a read: memory that Python gave back is not wiped. A child opens the file
and writes the operational keys into a pipe; whatever else it knew ends with it. Whoever issues a new card needs the
roots, and is such a process, too.

The child is a new interpreter, not a fork: a fork begins as a copy of the daemon, with locks that other threads held.
It inherits descriptors, so that a passphrase file may be `/dev/stdin` or a shell's `<(...)`.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from p2pshare.errors import AuthorError, KeyFileError, PeerError, ShareError
from p2pshare.node.keyfile import KeyMaterial, decode_keys, encode_keys, read_completed_keys
from p2pshare.node.undumpable import make_undumpable

log = logging.getLogger(__name__)

TAKE_PATH = (
    "import sys; end = 3 + int(sys.argv[1]); sys.path[:] = sys.argv[end:]; sys.argv[:] = sys.argv[2:end]\n"
)
PROGRAM = "from p2pshare.node.keys_apart import hand_over; import sys; hand_over(sys.argv[0])"
ERRORS: Mapping[int, type[ShareError]] = {66: KeyFileError, 65: AuthorError}
"""Exit codes of a child that tells an error: those of sysexits(3)."""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_operational_keys_apart(path: Path) -> KeyMaterial:
    """Returns what `keyfile.read_completed_keys` returns, read by a child process. Raises KeyFileError as it does, and
    `key-process` when the child cannot be started or does not end well.
    """
    answer = run_apart(PROGRAM, path)
    try:
        return decode_keys(answer)
    except (PeerError, ValueError):
        raise did_not_answer(path) from None


def run_apart(program: str, path: Path, *arguments: str) -> bytes:
    """Returns what `program`, Python source, wrote to stdout in a process of its own. Its `sys.argv` holds `path`, whose keys
    it opens, then `arguments`, and its `sys.path` is ours.

    An error that it tells (`answer_apart`) is raised here: KeyFileError or AuthorError. Raises KeyFileError `key-process`.
    """
    if not make_undumpable():
        log.warning("other processes of this user can read this one's memory, and so its keys")
    # -I: no variable, no folder of the moment says what is imported, only the path that this process has
    said = [str(len(arguments)), str(path), *arguments]
    command = [sys.executable, "-I", "-B", "-c", TAKE_PATH + program, *said, *sys.path]
    try:
        with _held_back(*ENDING_SIGNALS):
            child = subprocess.Popen(command, stdout=subprocess.PIPE, close_fds=False)
    except OSError as error:
        raise _failed(path, f"cannot be started: {error.strerror}") from None
    with child:
        answer, _ = child.communicate()
    if kind := ERRORS.get(child.returncode):
        with suppress(ValueError, TypeError):
            raise kind(**json.loads(answer))
    if child.returncode != 0:
        raise _failed(path, f"ended with {child.returncode}")
    return answer


def hand_over(path: str) -> None:
    """Be the child: write the operational keys of the key file at `path` to stdout, or, with exit code 66, the error."""
    answer_apart(lambda: encode_keys(read_completed_keys(Path(path))))


def answer_apart(work: Callable[[], bytes]) -> NoReturn:
    """Be the child of `run_apart`: write to stdout what `work` returns, or the error that it raises, and end."""
    make_undumpable()
    code = 0
    try:
        answer = work()
    except (KeyFileError, AuthorError) as error:
        code = next(code for code, kind in ERRORS.items() if isinstance(error, kind))
        answer = json.dumps({"message": error.message, "hint": error.hint, "reason": error.reason}).encode()
    with suppress(BrokenPipeError):  # nobody waits any more
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
    sys.exit(code)


def did_not_answer(path: Path) -> KeyFileError:
    """Returns the error for a child whose answer cannot be read."""
    return _failed(path, "did not answer")


def _failed(path: Path, how: str) -> KeyFileError:
    return KeyFileError(
        f"{path}: the process that opens it {how}",
        hint="an encrypted key file takes 128 MiB for a moment: look for a limit of memory or processes",
        reason="key-process",
    )


@contextmanager
def _held_back(*signals: signal.Signals) -> Iterator[None]:
    """Start processes that these signals do not reach. Whoever ends us ends the child too (Ctrl-C, systemd), and we end in
    our order: with a node that was opened, not with an error about keys."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
