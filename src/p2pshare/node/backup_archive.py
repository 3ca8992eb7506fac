"""What is inside a backup: a tar whose first member says what the others are (docs/operations/backup.md, "Format").

::

    p2pshare-backup.json       `BackupManifest`: what it is a backup of, each folder, each file with its size and SHA-256
    config.toml ...            the files, in the order of the manifest, under its names

`age -d FILE | tar x` takes it apart without this program. Read is only what this module wrote: regular files, in order, with the names and
sizes that the manifest says. So a name cannot lead out of the folder, nothing is a link or a device, nothing stands there twice, and
the size of everything is known before anything of it is written. Nothing is compressed: a small file cannot become a large one.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.limits import KIB, MIB

MANIFEST_NAME = "p2pshare-backup.json"
FORMAT: Literal["p2pshare-backup"] = "p2pshare-backup"
VERSION = 1
FILES_MAX = 200_000  # samples of labs, results of courses, attachments: a home has some dozen others
MANIFEST_BYTES_MAX = 64 * MIB  # 200,000 files of 300 bytes
PATH_BYTES_MAX = 1 * KIB
DEPTH_MAX = 8  # folders within folders; a home has two
END_BYTES_MAX = 1 * MIB  # of zeros behind the last file: tar fills up a record of 10 KiB
MODE_MASK = 0o755  # what a file or folder may keep of its mode: nobody else may write it

_BLOCK = tarfile.BLOCKSIZE
_LONG_NAME = b"././@LongLink"
_PLAIN_PART = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


class BackupFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a home: its path below the home, its mode, its size in bytes and its SHA-256 in hexadecimal."""

    path: str
    mode: int
    size: int
    sha256: str


class BackupFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    mode: int


class BackupManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is of. `created` is an instant in UTC, `schema` the number of the store's schema, `left_out` says what of the home
    is not in it."""

    format: Literal["p2pshare-backup"]
    version: int
    program: str
    created: str
    partner_id: str
    card_version: int
    schema: int
    has_risk: bool
    left_out: tuple[str, ...]
    folders: tuple[BackupFolder, ...]
    files: tuple[BackupFile, ...]

    @property
    def bytes(self) -> int:
        return sum(one.size for one in self.files)


class _Head(msgspec.Struct, frozen=True):
    format: str
    version: int


def write_archive(
    put: Callable[[bytes], object],
    manifest: BackupManifest,
    content_of: Callable[[BackupFile], Iterable[bytes]],
) -> None:
    """Write the archive; `content_of` gives the bytes of a file, as many as the manifest says. Raises what that raises."""
    raw = msgspec.json.encode(manifest)
    _put_member(put, MANIFEST_NAME, 0o600, len(raw), [raw])
    for file in manifest.files:
        _put_member(put, file.path, file.mode, file.size, content_of(file))
    put(bytes(2 * _BLOCK))


def _put_member(
    put: Callable[[bytes], object], name: str, mode: int, size: int, pieces: Iterable[bytes]
) -> None:
    head = tarfile.TarInfo(name)
    head.mode, head.size, head.mtime = mode, size, 0
    put(head.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    written = 0
    for piece in pieces:
        put(piece)
        written += len(piece)
    assert written == size, f"{name} has another size than it was said to have"
    put(bytes(-size % _BLOCK))


class ArchiveReader:
    """Reads an archive out of pieces of bytes that were authenticated; the manifest at once, the files after it, once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Raises AuthorError `bad-backup` for what no backup is, `backup-newer` for one of a later format."""
        self._pieces = iter(pieces)
        self._held = b""
        name, size = self._head() or ("", 0)
        if name != MANIFEST_NAME or size > MANIFEST_BYTES_MAX:
            raise _bad("it does not begin with the list of what is in it")
        self.manifest = _read_manifest(b"".join(self._content(size)))

    def files(self) -> Iterator[tuple[BackupFile, Iterator[bytes]]]:
        """Yields each file of the manifest with its content, which must be read to its end before the next. Raises AuthorError."""
        for file in self.manifest.files:
            if self._head() != (file.path, file.size):
                raise _bad(f"where {_quoted(file.path)} should be is something else")
            yield file, self._content(file.size)
        self._end()

    def _head(self) -> tuple[str, int] | None:
        """Returns name and size of the next member; None at the end. A long name stands in a member before it."""
        member = self._member()
        if member is None or member.type != tarfile.GNUTYPE_LONGNAME:
            return None if member is None else self._regular(member, member.name)
        if member.name.encode() != _LONG_NAME or member.size > PATH_BYTES_MAX + 1:
            raise _bad("a name in it is too long")
        name = b"".join(self._content(member.size)).rstrip(b"\0").decode("utf-8", "surrogateescape")
        member = self._member()
        if member is None:
            raise _bad("a name in it has no file")
        return self._regular(member, name)

    def _member(self) -> tarfile.TarInfo | None:
        block = self._exactly(_BLOCK)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise _bad("the head of a file in it is none") from None

    def _regular(self, member: tarfile.TarInfo, name: str) -> tuple[str, int]:
        if member.type != tarfile.REGTYPE or member.size < 0:
            raise _bad(f"{_quoted(name)} is no regular file")
        return name, member.size

    def _content(self, size: int) -> Iterator[bytes]:
        missing = size
        while missing:
            piece = self._held or self._next()
            yield piece[:missing]
            self._held = piece[missing:]
            missing -= min(missing, len(piece))
        self._exactly(-size % _BLOCK)

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._held += self._next()
        block, self._held = self._held[:size], self._held[size:]
        return block

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            raise _bad("it ends too early")
        return piece

    def _end(self) -> None:
        """Require that nothing but zeros follows."""
        rest = len(self._held)
        if any(self._held) or self._head() is not None:
            raise _bad("something follows its last file")
        for piece in self._pieces:
            rest += len(piece)
            if any(piece) or rest > END_BYTES_MAX:
                raise _bad("something follows its last file")


def _read_manifest(raw: bytes) -> BackupManifest:
    try:
        head = msgspec.json.decode(raw, type=_Head)
        if head.format == FORMAT and head.version > VERSION:
            raise AuthorError(
                f"the backup has format {head.version}, and this version of p2pshare reads up to {VERSION}",
                hint="restore it with the version that wrote it, or a newer one",
                reason="backup-newer",
            )
        manifest = msgspec.json.decode(raw, type=BackupManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _bad("the list of what is in it cannot be read") from None
    if manifest.version != VERSION:
        raise _bad("the list of what is in it has no known format")
    _check_paths(manifest)
    return manifest


def _check_paths(manifest: BackupManifest) -> None:
    """Require names that stay below the home, each once, each file in folders that are listed before it, sizes that are sizes, and modes
    that a backup gives: who knows a recipient can make a backup for it, with files in it that run as their owner."""
    if len(manifest.files) + len(manifest.folders) > FILES_MAX:
        raise _bad(f"more than {FILES_MAX} files are in it")
    modes = [(one.path, one.mode) for one in manifest.folders] + [
        (one.path, one.mode) for one in manifest.files
    ]
    for path, mode in modes:
        if mode & ~MODE_MASK:
            raise _bad(f"{_quoted(path)} has a mode that no backup gives")
    folders = {""}
    for folder in manifest.folders:
        _check_path(folder.path, folders)
        folders.add(folder.path)
    seen = set(folders)
    for file in manifest.files:
        _check_path(file.path, folders)
        if file.path in seen:
            raise _bad(f"{_quoted(file.path)} is in it twice")
        seen.add(file.path)
        if file.size < 0 or not re.fullmatch("[0-9a-f]{64}", file.sha256):
            raise _bad(f"{_quoted(file.path)} is not described as a file is")


def _check_path(path: str, folders: set[str]) -> None:
    parts = path.split("/")
    if (
        len(path.encode("utf-8", "surrogateescape")) > PATH_BYTES_MAX
        or len(parts) > DEPTH_MAX
        or not all(_PLAIN_PART.fullmatch(part) and part not in (".", "..") for part in parts)
        or "/".join(parts[:-1]) not in folders
    ):
        raise _bad(f"{_quoted(path)} is no place in a home")


def _quoted(path: str) -> str:
    return ascii(path[:80])


def _bad(why: str) -> AuthorError:
    return AuthorError(
        f"this is no backup of p2pshare, or a damaged one: {why}",
        hint="give what `p2pshare backup` wrote; nothing was changed",
        reason="bad-backup",
    )
