"""The readers of all payload kinds, put together above the rooms that hold them, none of which knows another."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from p2pshare.errors import OperatorError
from p2pshare.sharing import payload_kinds
from p2pshare.sharing.payload_kinds import PayloadKind, Readers

_METHODS = ("begin", "read", "finish")  # of `payload_kinds.PayloadReader`


def load_readers() -> Readers:
    """Returns the reader of each kind in the table by the kind's name; imports the rooms that hold them.

    Raises OperatorError `no-payload-reader` for a row whose reader is not there: a node without it would hold what
    partners send and never read it.
    """
    return {name: _reader_of(kind) for name, kind in payload_kinds.PAYLOAD_KINDS.items()}


def _reader_of(kind: PayloadKind) -> Any:
    try:
        reader = resolve_name(kind.reader)
    except (ImportError, AttributeError, ValueError) as error:
        raise _missing(kind, str(error)) from error
    if not isinstance(reader, type) or not all(callable(getattr(reader, name, None)) for name in _METHODS):
        raise _missing(kind, f"it is no class with {', '.join(_METHODS)}")
    return reader


def _missing(kind: PayloadKind, why: str) -> OperatorError:
    return OperatorError(
        f"there is no reader for payloads of kind '{kind.name}': {kind.reader}: {why}",
        hint="this installation is not whole: install p2pshare again",
        reason="no-payload-reader",
    )
