"""The spool: where a prepared publication waits while a person reads what would leave. A file, not memory.

Rules:

1. A token is 128 random bits and names one file. It is used once: the file is gone, as a name, before anything of it is
   read, so neither a second `take` nor a crash in the middle can seal it again.
2. Nothing waits longer than PREPARED_SECONDS_MAX, by the clock of whoever asks; a clock that was set back has expired it.
3. Number and bytes are bounded. A full disk, or one below the free-space floor, is DiskFull, and nothing stays behind.
4. Nothing that waits outlives the process that holds the home: it empties the folder when it starts and when it ends.
5. A publication that comes in several messages is a file `TOKEN` with the ending `open` until its last one; nothing is kept longer than OPEN_SECONDS_MAX
   after the one before.
6. What was confirmed and is too large for one transaction is *held* on the disk, with the ending `held`, for good: it outlives a
   restart, until it has left (`staging`).

The folder is for the node's own user alone (0700, files 0600): what waits in it is readable. A file is

    {u64 length, part} ...  u64 length, terms  u64 place of that length

each integer big endian, each part and the terms msgpack. The terms stand at the end because they are known last. What
was read is kept with the frames, for reading them again costs five times as much (docs/decisions/0052); of an object with
many claims what they share is kept once, so that what waits is in proportion to what was read.
"""

from __future__ import annotations

import os
import re
import secrets
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec.structs import replace

from p2pshare.database.connection import FULL_ERRNOS, require_free_space
from p2pshare.errors import DiskFull, NotFoundError, OperatorError, RefusedError
from p2pshare.identifiers import FixedBytes
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import MIB, READING_SPACE_BYTES_MIN
from p2pshare.node.node import Node
from p2pshare.sharing.publishing import PreparedPart, Terms
from p2pshare.sharing.quarantining import Mark

FOLDER_NAME = "spool"
FOLDER_MODE = 0o700
FILE_MODE = 0o600
PREPARED_SECONDS_MAX = 60  # a person has read the question by then; later it is asked anew
OPEN_SECONDS_MAX = 600  # between two parts: whoever reads a pipe waits for who writes it
PREPARED_MAX = 16  # that wait at once: as many commands as may ask at once
SPOOL_BYTES_MAX = 64 * 1024 * MIB  # all of them, 290 bytes an object: 200 million. The disk is less, and ...
SPOOL_SPACE_BYTES_MIN = (
    READING_SPACE_BYTES_MIN  # ... has so much above its floor: what partners send goes first
)
SYNCED_BYTES = 64 * MIB  # written to the disk at once, so that holding a file never waits for more than that
NOT_PREPARED = "not-prepared"
"""The reason why a token seals nothing (any more)."""

_LENGTH = struct.Struct(">Q")
_TOKEN = re.compile("[0-9a-f]{32}")
_OPEN, _HELD = ".open", ".held"


def _encode_id(one: Any) -> bytes:
    """Returns what an id is written as. An `enc_hook`: by msgspec's contract it raises NotImplementedError for what it does
    not know."""
    if isinstance(one, FixedBytes):
        return bytes(one)
    raise NotImplementedError(type(one).__name__)


def _decode_id(kind: type[Any], raw: Any) -> Any:
    return kind(raw)


class _Frame(msgspec.Struct, array_like=True):
    """A frame with what was read from it. Of an object with several claims `objects` has the first; `more`, by its place
    in `objects`, the type and value of the others, which are the same in everything else."""

    frame: bytes
    objects: list[ObjectFacts]
    more: dict[int, list[tuple[str, str]]] = {}


class _Part(msgspec.Struct, array_like=True):
    tlp: Tlp
    frames: list[_Frame]
    marks: list[Mark]
    reached: dict[str, int]


def _pack(part: PreparedPart) -> bytes:
    frames = [_pack_frame(one) for one in part.frames]
    return _encode(_Part(part.tlp, frames, list(part.marks), dict(part.reached)))


def _pack_frame(frame: NewFrame) -> _Frame:
    packed = _Frame(frame.frame, list(frame.objects))
    for place, fact in enumerate(frame.objects):
        if len(fact.claims) > 1:
            packed.more[place] = [(claim.type, claim.value) for claim in fact.claims[1:]]
            packed.objects[place] = replace(fact, claims=fact.claims[:1])
    return packed


def _unpack(raw: bytes) -> PreparedPart:
    part = _decode_part(raw)
    frames = [NewFrame(one.frame, _unpack_objects(one)) for one in part.frames]
    return PreparedPart(part.tlp, frames, part.marks, part.reached)


def _unpack_objects(frame: _Frame) -> list[ObjectFacts]:
    for place, pairs in frame.more.items():
        fact = frame.objects[place]
        first = fact.claims[0]
        more = [replace(first, type=type_, value=value) for type_, value in pairs]
        frame.objects[place] = replace(fact, claims=(first, *more))
    return frame.objects


_encode = msgspec.msgpack.Encoder(enc_hook=_encode_id).encode
_decode_part = msgspec.msgpack.Decoder(_Part, dec_hook=_decode_id).decode
_decode_terms = msgspec.msgpack.Decoder(Terms).decode


class Spooling:
    """A publication on its way into the file at `path`, part after part."""

    def __init__(self, path: Path, file: int, bytes_max: int, free_space_bytes_min: int) -> None:
        self.token = path.stem
        self._path = path
        self._file = file
        self._bytes_max = bytes_max
        self._free_space_bytes_min = free_space_bytes_min
        self._size = self._synced = 0
        self._began_at = os.fstat(file).st_mtime

    def keep(self, part: PreparedPart) -> None:
        """Write a part. Raises DiskFull, RefusedError `spool-full`."""
        self._write_framed(_pack(part))

    def end_with(self, terms: Terms, now: int) -> None:
        """Write the terms; from then on it waits. `now` (unix seconds) is that of the message's beginning: how long it took
        since is told by the file's own times. Raises DiskFull, RefusedError `spool-full`."""
        place = self._size
        self._write_framed(_encode(terms))
        self._write(_LENGTH.pack(place))
        ready_at = now + max(0, int(os.fstat(self._file).st_mtime - self._began_at))
        os.utime(self._file, (ready_at, ready_at))
        with _writing(self._path):
            self._path = self._path.rename(self._path.with_suffix(""))

    def pause(self, now: int) -> None:
        """Wait for the next message, from `now` (unix seconds) on."""
        os.utime(self._file, (now, now))

    def go_on(self) -> None:
        """The next message has come."""
        os.utime(self._file)
        self._began_at = os.fstat(self._file).st_mtime

    def abandon(self) -> None:
        """Remove it: what it holds is not published."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file; what is in it stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write_framed(self, raw: bytes) -> None:
        self._write(_LENGTH.pack(len(raw)) + raw)

    def _write(self, raw: bytes) -> None:
        self._size += len(raw)
        if self._size > self._bytes_max:
            raise spool_full(f"at most {SPOOL_BYTES_MAX // MIB} MiB wait at once")
        require_free_space(self._path, self._free_space_bytes_min + len(raw))
        rest = memoryview(raw)
        with _writing(self._path):
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self._size - self._synced > SYNCED_BYTES:
                os.fdatasync(self._file)
                self._synced = self._size


@contextmanager
def spooling(node: Node, now: int) -> Iterator[Spooling]:
    """Yields a new file under a new token, which is gone again if the block fails. Raises DiskFull, RefusedError
    `spool-full`, OperatorError."""
    made = begin_spooling(node, now)
    try:
        yield made
    except BaseException:
        made.abandon()
        raise
    finally:
        made.close()


def begin_spooling(node: Node, now: int) -> Spooling:
    """Returns a new file under a new token, to be closed or abandoned. Raises DiskFull, RefusedError `spool-full`,
    OperatorError."""
    sweep(node.home, now)
    folder = node.home / FOLDER_NAME
    path = folder / f"{secrets.token_hex(16)}{_OPEN}"
    with _writing(path):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)
        sizes = [one.stat().st_size for one in _files(node.home)]
        if len(sizes) >= PREPARED_MAX:
            raise spool_full(f"{PREPARED_MAX} publications wait already")
        floor = node.config.free_space_bytes_min + SPOOL_SPACE_BYTES_MIN * bool(
            node.config.free_space_bytes_min
        )
        require_free_space(path, floor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return Spooling(path, os.open(path, flags, FILE_MODE), SPOOL_BYTES_MAX - sum(sizes), floor)


@contextmanager
def taken(home: Path, token: str, now: int) -> Iterator[tuple[Terms, Iterator[PreparedPart]]]:
    """Yields what waits under `token`, once: its terms, and its parts one after another, to be walked within the block.

    Raises NotFoundError `not-prepared`, OperatorError `spool-damaged`; walking the parts raises the latter, too.
    """
    path = home / FOLDER_NAME / token
    if _TOKEN.fullmatch(token) is None or not path.is_file():
        raise not_prepared()
    with path.open("rb") as stream:
        path.unlink()
        if _is_over(os.fstat(stream.fileno()).st_mtime, now):
            raise not_prepared()
        terms, place = _terms_of(path, stream)
        yield terms, _parts(path, stream, place, terms.envelopes)


def _terms_of(path: Path, stream: BinaryIO) -> tuple[Terms, int]:
    """Returns the terms, and the place at which the parts before them end."""
    with _reading(path):
        stream.seek(-_LENGTH.size, os.SEEK_END)
        (place,) = _LENGTH.unpack(stream.read(_LENGTH.size))
        stream.seek(place)
        return _decode_terms(_next_framed(stream)), place


def _parts(path: Path, stream: BinaryIO, end: int, count: int) -> Iterator[PreparedPart]:
    stream.seek(0)
    for _ in range(count):
        with _reading(path):
            part = _unpack(_next_framed(stream))
        yield part
    with _reading(path):
        if stream.tell() != end:
            raise EOFError


def _next_framed(stream: BinaryIO) -> bytes:
    """Returns the bytes behind the length that comes next. Raises EOFError where they are cut off."""
    head = stream.read(_LENGTH.size)
    size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else SPOOL_BYTES_MAX + 1
    if size > SPOOL_BYTES_MAX or len(raw := stream.read(size)) < size:
        raise EOFError
    return raw


# --- what is held until it has left ---


class HeldPart(msgspec.Struct, frozen=True):
    """A part of what is held, as far as it is needed to seal it; `next_place` is that of the part behind it."""

    tlp: Tlp
    frames: list[bytes]
    objects: int
    next_place: int


class _BareFrame(msgspec.Struct, array_like=True):
    frame: bytes
    objects: list[msgspec.Raw]
    more: msgspec.Raw = msgspec.Raw()


class _BarePart(msgspec.Struct, array_like=True):
    tlp: Tlp
    frames: list[_BareFrame]


_decode_bare = msgspec.msgpack.Decoder(_BarePart).decode


def hold(home: Path, token: str) -> None:
    """Keep what waits under `token` until `release_held`, over any restart and loss of power. Raises NotFoundError
    `not-prepared`, OperatorError."""
    folder = home / FOLDER_NAME
    path = folder / token
    if _TOKEN.fullmatch(token) is None or not path.is_file():
        raise not_prepared()
    with _writing(path):
        held = path.rename(folder / f"{token}{_HELD}")
        for one in (held, folder):
            file = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def terms_waiting(home: Path, token: str, now: int) -> Terms:
    """Returns the terms of what waits under `token`, and leaves it there. Raises as `taken` does."""
    path = home / FOLDER_NAME / token
    if _TOKEN.fullmatch(token) is None or not path.is_file():
        raise not_prepared()
    with path.open("rb") as stream:
        if _is_over(os.fstat(stream.fileno()).st_mtime, now):
            raise not_prepared()
        return _terms_of(path, stream)[0]


def held_terms(home: Path, token: str) -> tuple[Terms, int]:
    """Returns the terms of what is held, and the place at which its parts end. Raises OperatorError `spool-damaged`."""
    path = _held_path(home, token)
    with _opened(path) as stream:
        return _terms_of(path, stream)


def held_part(home: Path, token: str, place: int) -> HeldPart:
    """Returns the part at `place` (0: the first), without what was read of it. Raises OperatorError `spool-damaged`."""
    path = _held_path(home, token)
    with _opened(path) as stream, _reading(path):
        stream.seek(place)
        part = _decode_bare(_next_framed(stream))
        objects = sum(len(one.objects) for one in part.frames)
        return HeldPart(part.tlp, [one.frame for one in part.frames], objects, stream.tell())


def held_content(home: Path, token: str, place: int) -> PreparedPart:
    """Returns the part at `place` with all that was read of it. Raises OperatorError `spool-damaged`."""
    path = _held_path(home, token)
    with _opened(path) as stream, _reading(path):
        stream.seek(place)
        return _unpack(_next_framed(stream))


def release_held(home: Path, token: str) -> None:
    """Forget what is held under `token`: it has left, or never will. Raises OperatorError."""
    path = _held_path(home, token)
    with _writing(path):
        path.unlink(missing_ok=True)


def release_others(home: Path, tokens: Collection[str]) -> None:
    """Forget what is held under any other token: a crash came before anybody was told of it. Raises OperatorError."""
    for path in _files(home):
        if path.suffix == _HELD and path.stem not in tokens:
            with _writing(path):
                path.unlink(missing_ok=True)


def _held_path(home: Path, token: str) -> Path:
    return home / FOLDER_NAME / f"{token}{_HELD}"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with _reading(path):
        stream = path.open("rb")
    with stream:
        yield stream


# --- what waits no longer ---


def drop(home: Path, token: str) -> None:
    """Forget what waits under `token`; nothing to do where nothing does."""
    if _TOKEN.fullmatch(token):
        (home / FOLDER_NAME / token).unlink(missing_ok=True)


def sweep(home: Path, now: int) -> None:
    """Remove what has waited too long at `now` (unix seconds). Raises OperatorError."""
    for path in _files(home):
        if path.suffix != _HELD:
            with _writing(path):
                since = path.stat().st_mtime
                # parts of an open one may be written at this moment: a clock that is a little behind it forgets nothing
                is_idle = (
                    abs(now - since) > OPEN_SECONDS_MAX if path.suffix == _OPEN else _is_over(since, now)
                )
                if is_idle:
                    path.unlink()


def empty(home: Path) -> None:
    """Remove everything that waits, when the process that holds the home starts and when it ends. Raises OperatorError."""
    for path in _files(home):
        if path.suffix != _HELD:
            with _writing(path):
                path.unlink()


def _files(home: Path) -> list[Path]:
    folder = home / FOLDER_NAME
    if not folder.is_dir():
        return []
    return [
        one for one in folder.iterdir() if _TOKEN.fullmatch(one.stem) and one.suffix in ("", _OPEN, _HELD)
    ]


def _is_over(waiting_since: float, now: int) -> bool:
    return not 0 <= now - waiting_since <= PREPARED_SECONDS_MAX


def not_prepared() -> NotFoundError:
    """Returns the error that says so."""
    return NotFoundError(
        f"nothing is prepared under this token: it is used once, within {PREPARED_SECONDS_MAX} s",
        hint="publish again",
        reason=NOT_PREPARED,
    )


def spool_full(why: str) -> RefusedError:
    """Returns the error that says so."""
    return RefusedError(
        f"no room to prepare a publication: {why}",
        hint=f"try again in {PREPARED_SECONDS_MAX} s, or publish in smaller parts",
        reason="spool-full",
    )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an OSError into an error of ours: DiskFull or OperatorError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise DiskFull(f"the disk is full at {path.parent}", hint="free some space") from None
        raise OperatorError(
            f"cannot write in {path.parent}: {error.strerror}",
            hint="check its owner and mode",
            reason="spool",
        ) from None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an error of reading a damaged file into OperatorError `spool-damaged`."""
    try:
        yield
    except (OSError, EOFError, ValueError, struct.error, msgspec.MsgspecError) as error:
        raise OperatorError(
            f"a publication that waited in {path.parent} cannot be read back ({type(error).__name__})",
            hint="publish again; look at the disk if that happens twice",
            reason="spool-damaged",
        ) from None
