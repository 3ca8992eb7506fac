"""`--rejects FILE`: every refusal as a line of JSON, for whoever has to mend the input.

`{reason, where, text, count}`: `where` is the place as the reader tells it, `text` what stood there, safe to print and
clipped. The counts add up to those of the answer. The file holds text that was not shared, so it is its owner's alone
(0600), and it appears whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, unwritable
from p2pshare.errors import ShareError

if TYPE_CHECKING:
    from p2pshare.intel.refusals import Refusal


class Rejects:
    """Takes refusals; writes them where a file was asked for."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream

    def add(self, refusal: Refusal) -> None:
        """One refusal of a reader."""
        self._write(refusal.reason, refusal.where, refusal.example, 1)

    def add_counted(self, refused: Iterable[Mapping[str, Any]]) -> None:
        """Refusals of the sealer, which tells their number and some examples."""
        for one in refused:
            self._write(one["reason"], "", "; ".join(one["examples"]), one["count"])

    @contextmanager
    def what_ends_it(self) -> Iterator[None]:
        """Writes the error down that ends the reading of a file: one refusal of all that is left of it."""
        try:
            yield
        except ShareError as error:
            self._write(error.reason, "", error.message, 1)
            raise

    def _write(self, reason: str, where: str, text: str, count: int) -> None:
        if self._stream is not None:
            from p2pshare.intel.display import clip
            from p2pshare.limits import REJECT_CHARACTERS_MAX

            line = {
                "reason": reason,
                "where": clip(where),
                "text": clip(text, REJECT_CHARACTERS_MAX),
                "count": count,
            }
            try:
                self._stream.write(json.dumps(line) + "\n")
            except OSError as error:
                raise unwritable(self._stream.name, error) from None


@contextmanager
def rejects_file(name: str | None, source: str) -> Iterator[Rejects]:
    """The file for refusals, or none when `name` is None. It appears whole, also when an error ends the block.
    `source` is the file that is read, which refusals must not replace.

    Raises UsageProblem for `-` and for `source`, OperatorError when the file cannot be written.
    """
    if name is None:
        yield Rejects(None)
        return
    if name == STANDARD_STREAM:
        raise UsageProblem("refusals go to a file", hint="stdout holds the result: give --rejects a name")
    with suppress(OSError):
        if source != STANDARD_STREAM and Path(name).samefile(source):
            raise UsageProblem("refusals would replace the input", hint="give --rejects another name")
    unfinished = Path(f"{name}.{os.getpid()}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise unwritable(name, error) from None
    stream = os.fdopen(descriptor, "w", encoding="utf-8")
    try:
        yield Rejects(stream)
    except ShareError:
        _finish(stream, unfinished, name)
        raise
    _finish(stream, unfinished, name)


def _finish(stream: IO[str], unfinished: Path, name: str) -> None:
    try:
        stream.close()
        unfinished.replace(name)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise unwritable(name, error) from None
