"""Folders of courses: those that come with the program, and any that a person names. Read without following a link, and no further than a course may
be (docs/training.md, "A course as a folder")."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path

from p2pshare.errors import AuthorError
from p2pshare.intel.course import (
    MANIFEST_BYTES_MAX,
    MATERIAL_BYTES_MAX,
    TRAVELLING_BYTES_MAX,
    BuiltCourse,
    CourseProblem,
    FileFound,
    build_course,
    read_manifest,
)
from p2pshare.node.opened_below import opened_below
from p2pshare.node.shipped import shipped_folders

MANIFEST_NAMES = ("course.toml", "course.json")
CHUNK_BYTES = 1024 * 1024


def shipped_courses() -> dict[str, Path]:
    """Returns the folders of our courses by name: in the wheel, or in a checkout."""
    return shipped_folders("courses")


def read_course_folder(folder: Path) -> tuple[BuiltCourse | None, list[CourseProblem]]:
    """Returns the course in a folder, or its problems. Raises AuthorError `no-folder` where there is none."""
    with ExitStack() as held:
        try:
            root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else "no name of a folder"
            raise AuthorError(
                f"cannot read {folder}: {(said or 'unknown').lower()}",
                hint="a course is a folder with course.toml or course.json",
                reason="no-folder",
            ) from None
        held.callback(os.close, root)
        found = {name: one for name in MANIFEST_NAMES if (one := _read_file(root, name)) is not None}
        if len(found) != 1:
            told = "both course.toml and course.json" if found else "neither course.toml nor course.json"
            return None, [CourseProblem("manifest", "", f"the folder has {told}, as files")]
        ((name, there),) = found.items()
        if there.raw is None or there.size > MANIFEST_BYTES_MAX:
            return None, [
                CourseProblem("too-large", "", f"a manifest has at most {MANIFEST_BYTES_MAX} bytes")
            ]
        manifest, problems = read_manifest(there.raw, is_json=name.endswith(".json"))
        if manifest is None:
            return None, problems
        return build_course(manifest, {path: _read_file(root, path) for path in manifest.files()})


def _read_file(root: int, path: str) -> FileFound | None:
    """Returns a file below the open folder `root`; None for one that is not there, is no regular file, or stands behind a link."""
    try:
        with opened_below(root, path) as descriptor:
            if descriptor is None:
                return None
            size = os.fstat(descriptor).st_size
            return FileFound(size, "", None) if size > MATERIAL_BYTES_MAX else _digested(descriptor)
    except (OSError, ValueError):
        return None


def _digested(descriptor: int) -> FileFound:
    digest, size, kept = hashlib.sha256(), 0, bytearray()
    while chunk := os.read(descriptor, CHUNK_BYTES):
        size += len(chunk)
        digest.update(chunk)
        if size > MATERIAL_BYTES_MAX:  # it grows while it is read
            break
        if size <= TRAVELLING_BYTES_MAX:
            kept += chunk
    return FileFound(size, digest.hexdigest(), bytes(kept) if size <= TRAVELLING_BYTES_MAX else None)
