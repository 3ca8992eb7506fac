"""Folders of courses: what lies outside, behind a link, or is no file, is never read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from courses_made import SMALL, hash_of

from p2pshare.errors import AuthorError
from p2pshare.intel.course import MANIFEST_BYTES_MAX, TRAVELLING_BYTES_MAX
from p2pshare.intel.exercise_pack import pack_hash
from p2pshare.node.course_files import read_course_folder, shipped_courses
from p2pshare.node.exercise_folder import load_pack

SECRET = b"the secret of another folder"


def folder_of(tmp_path: Path, **changes: Any) -> Path:
    folder = tmp_path / "course"
    (folder / "in").mkdir(parents=True)
    (folder / "course.json").write_text(json.dumps(SMALL | {"material": [{"file": "in/read.md"}]} | changes))
    return folder


def rules(folder: Path) -> list[str]:
    course, problems = read_course_folder(folder)
    assert (course is None) == bool(problems)
    return [one.rule for one in problems]


def test_a_folder_gives_its_course(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "in" / "read.md").write_bytes(b"# Read\n")
    course, problems = read_course_folder(folder)
    assert course is not None, problems
    assert course.payloads == (b"# Read\n",)


def test_a_link_to_a_file_outside_is_a_missing_material(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (tmp_path / "secret.md").write_bytes(SECRET)
    (folder / "in" / "read.md").symlink_to(tmp_path / "secret.md")
    assert rules(folder) == ["material-missing"]


def test_a_link_to_a_folder_outside_is_not_followed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "read.md").write_bytes(SECRET)
    (folder / "in").rmdir()
    (folder / "in").symlink_to(tmp_path / "elsewhere")
    assert rules(folder) == ["material-missing"]


def test_a_manifest_behind_a_link_is_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "course.json").rename(tmp_path / "course.json")
    (folder / "course.json").symlink_to(tmp_path / "course.json")
    assert rules(folder) == ["manifest"]


def test_pipes_and_folders_in_a_file_s_place_do_not_hang_or_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    os.mkfifo(folder / "in" / "read.md")
    assert rules(folder) == ["material-missing"]
    (folder / "in" / "read.md").unlink()
    (folder / "in" / "read.md").mkdir()
    assert rules(folder) == ["material-missing"]


def test_two_manifests_or_none_are_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "course.toml").write_text("")
    assert rules(folder) == ["manifest"]
    (folder / "course.toml").unlink()
    (folder / "course.json").unlink()
    assert rules(folder) == ["manifest"]


def test_a_manifest_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for size in (MANIFEST_BYTES_MAX + 1, TRAVELLING_BYTES_MAX + 1):
        (folder / "course.json").write_bytes(b" " * size)
        assert rules(folder) == ["too-large"]


def test_a_material_that_is_too_large_is_digested_and_not_held(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "in" / "read.md").write_bytes(b"x" * (TRAVELLING_BYTES_MAX + 1))
    course, _ = read_course_folder(folder)
    assert course is not None
    assert course.payloads == () and course.by_hash == ("read.md",)
    with (folder / "in" / "read.md").open("wb") as stream:
        stream.truncate(5 * 2**30)  # sparse: it would take a minute to read
    assert rules(folder) == ["too-large"]


def test_no_folder_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(AuthorError):
            read_course_folder(path)


def test_every_course_of_ours_can_be_published(repository: Path) -> None:
    assert list(shipped_courses()) == ["first-warning"]
    for folder in shipped_courses().values():
        built, problems = read_course_folder(folder)
        assert built is not None, problems
        exercise = built.course.exercise
        assert exercise is not None
        loaded = load_pack(str(repository / "config" / "exercises" / exercise.pack))
        told = "write its hash into course.toml, and make the walk-through of docs/training.md anew"
        assert exercise.pack_hash == pack_hash(loaded.checked(), loaded.payloads), told
        assert exercise.version == loaded.checked().version


def test_the_page_shows_our_course_as_it_is(repository: Path) -> None:
    page = (repository / "docs" / "training.md").read_text()
    built, _ = read_course_folder(shipped_courses()["first-warning"])
    assert built is not None
    assert page.count(hash_of(built)) == 2, "the walk-through was made with another course"
    assert all(
        f"{one.name}  {one.bytes} bytes  sha256 {one.sha256}" in page for one in built.course.materials
    )
