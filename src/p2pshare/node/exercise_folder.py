"""The folder of an exercise's pack, opened so that nothing in it leads out of it or holds the reader up (docs/exercise-packs.md, "A pack is a folder").

Files are opened part by part beneath the folder, no link is followed, and a FIFO or a device is not waited for. Only what the manifest names is
read, and of each file one byte more than it may have.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from p2pshare.errors import AuthorError, OperatorError
from p2pshare.importers.exercise_lint import lint_pack
from p2pshare.intel.exercise_manifest import MANIFEST_BYTES_MAX, MANIFEST_NAMES, Problems, read_pack
from p2pshare.intel.exercise_pack import (
    PACK_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    ExercisePack,
    PackProblem,
    payload_paths,
)
from p2pshare.node.opened_below import opened_below
from p2pshare.node.shipped import shipped_folders

SHIPPED = "exercises"


class LoadedPack(NamedTuple):
    """A folder as it was read. With `problems` the pack is what could be read, or None, and nobody uses it."""

    pack: ExercisePack | None
    payloads: dict[str, bytes]
    problems: list[PackProblem]

    def checked(self) -> ExercisePack:
        """Returns the pack. Raises AuthorError `bad-pack`, which names the first problem, where it has any."""
        if self.problems or self.pack is None:
            first = self.problems[0]
            more = f", and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            raise AuthorError(
                f"the pack cannot be used: {first.rule} at {first.where}: {first.message}{more}",
                hint="exercise lint tells all of it",
                reason="bad-pack",
            )
        return self.pack


def shipped_packs() -> dict[str, Path]:
    """Returns the packs that come with the program, by name."""
    return shipped_folders(SHIPPED)


def load_pack(name: str) -> LoadedPack:
    """Returns what is in the folder `name`, or in the pack of that name that comes with the program.

    Whatever is wrong with the pack is among its problems. Raises OperatorError `not-found` where no folder can be opened.
    """
    folder = name
    if os.sep not in name and not Path(name).is_dir():
        shipped = shipped_packs()
        if name in shipped:
            folder = str(shipped[name])
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        what = (
            error.strerror.lower() if isinstance(error, OSError) and error.strerror else "no name of a folder"
        )
        raise OperatorError(
            f"cannot open the folder {name}: {what}",
            hint=f"name a folder with exercise.toml in it, or one of {', '.join(shipped_packs())}",
            reason="not-found",
        ) from None
    try:
        return _load(descriptor)
    finally:
        os.close(descriptor)


def _load(folder: int) -> LoadedPack:
    problems = Problems()
    manifests: dict[str, bytes] = {}
    for name in MANIFEST_NAMES:
        found = _read(folder, name, MANIFEST_BYTES_MAX)
        if isinstance(found, bytes):
            manifests[name] = found
        elif found != _MISSING:
            problems.add("format", name, _TOLD[found], "write it as a file in the folder")
    if len(manifests) != 1:
        if manifests or not problems:
            what = "two manifests are there" if manifests else "no manifest is there"
            problems.add("format", "folder", what, f"have one of {' and '.join(MANIFEST_NAMES)}")
        return LoadedPack(None, {}, problems.told())
    ((name, raw),) = manifests.items()
    pack, found_problems = read_pack(raw, is_json=name.endswith(".json"))
    problems.extend(found_problems)
    payloads: dict[str, bytes] = {}
    if pack is not None:
        for_lint = _read_payloads(folder, pack, payloads, problems)
        problems.extend(lint_pack(pack, for_lint))
    return LoadedPack(pack, payloads, problems.told())


def _read_payloads(
    folder: int, pack: ExercisePack, payloads: dict[str, bytes], problems: Problems
) -> dict[str, bytes | None]:
    """Read each payload; returns them as the lint asks for them: without those of which all is told here."""
    for_lint: dict[str, bytes | None] = {}
    left = PACK_BYTES_MAX
    for path in payload_paths(pack):
        if left < 0:
            problems.add(
                "too-many", "pack", f"its payloads have more than {PACK_BYTES_MAX} bytes", "make two of it"
            )
            break
        found = _read(folder, path, PAYLOAD_BYTES_MAX)
        if isinstance(found, bytes):
            left -= len(found)
            payloads[path] = for_lint[path] = found
        elif found == _MISSING:
            for_lint[path] = None
        else:
            rule = "path-outside" if found == _LINK else "payload-missing"
            problems.add(rule, path, _TOLD[found], "put the file itself into the folder")
    return for_lint


_MISSING, _LINK, _NO_FILE, _UNREADABLE = "missing", "link", "no-file", "unreadable"
_TOLD = {
    _LINK: "it is a link, or lies behind one",
    _NO_FILE: "it is no regular file",
    _UNREADABLE: "it cannot be read",
}


def _read(folder: int, path: str, most: int) -> bytes | str:
    """Returns the first `most` + 1 bytes of a file beneath the folder, or the word for why not."""
    try:
        with opened_below(folder, path) as file:
            if file is None:
                return _NO_FILE
            with os.fdopen(os.dup(file), "rb") as stream:
                return stream.read(most + 1)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return _MISSING
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return _LINK
        if error.errno == errno.ENOTDIR:  # a link to a folder answers so, too, where a folder is asked for
            return _LINK if _has_link(folder, path.split("/")) else _MISSING
        return _NO_FILE if error.errno in (errno.ENXIO, errno.EISDIR) else _UNREADABLE
    except ValueError:
        return _MISSING


def _has_link(folder: int, parts: list[str]) -> bool:
    """Returns whether any part of a path is a link; only for the message, so a race changes a word."""
    for end in range(1, len(parts) + 1):
        try:
            if stat.S_ISLNK(os.stat("/".join(parts[:end]), dir_fd=folder, follow_symlinks=False).st_mode):
                return True
        except OSError:
            return False
    return False
