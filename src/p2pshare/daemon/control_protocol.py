"""Messages over the control socket, between the command line and the running daemon.

One request a connection, so that neither side keeps state::

    daemon   {greeting: {protocol, version, pid}}
    CLI      {operation, and the fields of its request}
    daemon   {progress: {what, done, of}} any number; an empty one is a sign of life, `of` 0 where the end is not known
    daemon   {result: {...}}              or {error: {reason, message, hint, exit_code}}

`operation` is a name in `operations/table.py`, whose request and answer types say what fields there are; bytes are msgpack's
bin, a TLP level is its number, and a field that has a default may be left out. A field too many or too few, of another type
or beyond its bounds is refused (`bad-argument`), never guessed at.

A frame is a 4-byte big-endian length and that many bytes of msgpack. Nothing heavy is imported here: the
command line reads this file on its way to every answer.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack

from p2pshare import errors
from p2pshare.errors import OperatorError, ShareError
from p2pshare.limits import CONTROL_FRAME_BYTES_MAX

PROTOCOL = 1
SOCKET_NAME = "run/control.sock"
HEADER = struct.Struct(">I")
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path holds 108 with its final zero (unix(7))

Message = dict[str, Any]


def socket_path(home: Path) -> Path:
    """Returns the path at which the daemon of `home` listens for the command line."""
    return home / SOCKET_NAME


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Yields a name for `path` that fits a socket address, however deep the home folder lies."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def encode_frame(message: Mapping[str, Any]) -> bytes:
    """Returns the frame of a message. Raises OperatorError when it would be over CONTROL_FRAME_BYTES_MAX, or msgpack has
    no form for something in it: half a surrogate pair, a number of more than 64 bits."""
    try:
        raw: bytes = msgpack.packb(message, use_bin_type=True)
    except (ValueError, OverflowError) as error:
        raise OperatorError(
            f"a message cannot pass the control socket ({type(error).__name__})",
            hint="ask without a daemon, as the daemon's user",
            reason="control-malformed",
        ) from None
    if len(raw) > CONTROL_FRAME_BYTES_MAX:
        raise OperatorError(
            f"a message of {len(raw)} bytes is too large for the control socket",
            hint=f"split the input: at most {CONTROL_FRAME_BYTES_MAX} bytes go at once",
            reason="control-oversized",
        )
    return HEADER.pack(len(raw)) + raw


def frame_length(header: bytes) -> int:
    """Returns the length in bytes that a frame's header announces. Raises OperatorError when it is over the limit."""
    (length,) = HEADER.unpack(header)
    if length > CONTROL_FRAME_BYTES_MAX:
        raise OperatorError(f"a frame of {length} bytes on the control socket", reason="control-oversized")
    return int(length)


def decode_frame(raw: bytes) -> Message:
    """Returns the message in a frame's bytes. Raises OperatorError for anything that is not a map with text keys."""
    try:
        message = msgpack.unpackb(raw, raw=False, strict_map_key=True, max_ext_len=0)
    except (ValueError, RecursionError, msgpack.UnpackException):
        message = None
    if type(message) is not dict or not all(type(key) is str for key in message):
        raise OperatorError("not a message of the control socket", reason="control-malformed")
    return message


def send_message(connection: socket.socket, message: Mapping[str, Any]) -> None:
    connection.sendall(encode_frame(message))


def receive_message(connection: socket.socket) -> Message:
    """Returns the next message of a blocking connection. Raises EOFError at its end, TimeoutError, OperatorError."""
    return decode_frame(_receive_exactly(connection, frame_length(_receive_exactly(connection, HEADER.size))))


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = connection.recv(min(size - len(pieces), 1 << 20))
        if not piece:
            raise EOFError("the control connection ended")
        pieces += piece
    return bytes(pieces)


def error_message(error: ShareError) -> Message:
    """Returns `error` as it travels; `raise_error` makes it again on the other side."""
    return {
        "error": {
            "reason": error.reason,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }


def raise_error(fields: Any) -> None:
    """Raise the ShareError that `fields` (the value of `error`) describe, with its exit code."""
    if type(fields) is not dict:
        raise OperatorError("the daemon answered with an unreadable error", reason="control-malformed")
    error = ShareError(
        str(fields.get("message", "")),
        hint=str(fields.get("hint", "")),
        reason=str(fields.get("reason", errors.ShareError.reason)),
    )
    code = fields.get("exit_code")
    error.exit_code = code if type(code) is int and 0 < code < 256 else 1
    raise error
