"""Packs of exercises that were imported here: one archive a pack in the folder `packs` beside the files of exercises, which nothing that
sends ever opens: so what is played stands nowhere else in a home.

An archive holds the salts of its leaves, so that what `exercise import` shows as the commitment is what the exercise will commit to. They
serve one exercise: `exercise new` draws others into the file once it has used them.
"""

from __future__ import annotations

import re
from pathlib import Path

from p2pshare.errors import OperatorError, PeerError
from p2pshare.intel.exercise_pack import PACK_BYTES_MAX, PackArchive, archive_pack, read_archive
from p2pshare.node.home import EXERCISES_NAME
from p2pshare.node.whole_files import make_folder, put_whole

FOLDER = Path(EXERCISES_NAME) / "packs"
SUFFIX = ".pack"
_ID = re.compile(r"[a-z0-9-]{1,64}")


def keep_pack(home: Path, archive: PackArchive) -> Path:
    """Keep a pack; an older one of the same id is replaced. Returns its file. Raises OperatorError, AuthorError `oversized`."""
    folder = home / FOLDER
    target = folder / f"{archive.pack.id}{SUFFIX}"
    raw = archive_pack(archive.pack, archive.payloads, archive.salts)
    try:
        for one in (folder.parent, folder):
            make_folder(one)
        put_whole(target, raw)
    except OSError as error:
        raise OperatorError(
            f"cannot keep the pack in {folder}: {(error.strerror or 'unknown').lower()}",
            hint="run as the daemon's user",
            reason="output",
        ) from None
    return target


def kept_pack(home: Path, pack_id: str) -> PackArchive | None:
    """Returns the pack of that id that was imported here, or None. Raises OperatorError `bad-pack` for a file that is none."""
    if not _ID.fullmatch(pack_id):
        return None
    path = home / FOLDER / f"{pack_id}{SUFFIX}"
    try:
        with path.open("rb") as stream:
            raw = stream.read(PACK_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(
            f"cannot read {path}: {(error.strerror or 'unknown').lower()}",
            hint="run as the daemon's user",
            reason="input",
        ) from None
    try:
        return read_archive(raw)
    except PeerError as error:
        raise OperatorError(
            f"{path} is no pack any more: {error.message}",
            hint="`p2pshare exercise import` it again from its folder",
            reason="bad-pack",
        ) from None
