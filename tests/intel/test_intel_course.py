"""Courses: one course hash for one folder, no answer in what travels, and hostile folders and objects refused with a rule each."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.bundle import check_object
from p2pshare.intel.course import (
    MANIFEST_BYTES_MAX,
    TRAVELLING_BYTES_MAX,
    BuiltCourse,
    Course,
    CourseQuestion,
    FileFound,
    answer_digest,
    build_course,
    course_bytes,
    course_hash,
    course_object,
    course_object_id,
    read_course,
    read_course_head,
    read_course_object,
    read_manifest,
    score_quiz,
    version_key,
)
from p2pshare.intel.json_text import Fault
from p2pshare.intel.marking import Tlp
from p2pshare.jcs import jcs_bytes
from p2pshare.node.training_files import pseudonym_under

AUTHOR, OTHER = PartnerId(b"\x01" * 32), PartnerId(b"\x02" * 32)
TEXT = b"# Read this\n"
PLAIN: dict[str, Any] = {
    "format": "p2pshare-course/1",
    "id": "first-aid",
    "version": "1.0.0",
    "title": "First aid",
    "provider": "Hospital Öst",
    "language": "en",
    "material": [{"file": "materials/read.md"}],
    "quiz": {
        "question": [
            {"id": "first", "text": "Whom do you call?", "choices": ["Nobody", "The desk"], "answer": [2]},
            {"id": "then", "text": "And then?", "choices": ["Wait", "Write", "Run"], "answer": [1, 2]},
        ]
    },
}


def found(raw: bytes) -> FileFound:
    kept = raw if len(raw) <= TRAVELLING_BYTES_MAX else None
    return FileFound(len(raw), hashlib.sha256(raw).hexdigest(), kept)


def built(manifest: Mapping[str, Any], files: Mapping[str, FileFound | None] | None = None) -> BuiltCourse:
    course, rules = rules_of(manifest, files)
    assert course is not None, rules
    return course


def rules_of(
    manifest: Mapping[str, Any], files: Mapping[str, FileFound | None] | None = None
) -> tuple[BuiltCourse | None, list[str]]:
    read, problems = read_manifest(json.dumps(manifest).encode(), is_json=True)
    if read is None:
        return None, [one.rule for one in problems]
    there = {name: found(TEXT) for name in read.files()} if files is None else files
    course, problems = build_course(read, there)
    return course, [one.rule for one in problems]


def with_(**changes: Any) -> dict[str, Any]:
    return PLAIN | changes


def the_object(course: BuiltCourse, author: PartnerId = AUTHOR) -> bytes:
    return course_object(
        course.course, course.payloads, author=author, created_us=10**15, modified_us=10**15, tlp=Tlp.GREEN
    )


def test_toml_and_json_of_one_folder_are_one_course() -> None:
    toml = """
format = "p2pshare-course/1"
id = "first-aid"
version = "1.0.0"
title = "First aid"
provider = "Hospital Öst"
language = "en"
[[material]]
file = "materials/read.md"
[[quiz.question]]
id = "first"
text = "Whom do you call?"
choices = ["Nobody", "The desk"]
answer = [2]
[[quiz.question]]
id = "then"
text = "And then?"
choices = ["Wait", "Write", "Run"]
answer = [1, 2]
"""
    manifest, problems = read_manifest(toml.encode(), is_json=False)
    assert manifest is not None, problems
    other, _ = build_course(manifest, {"materials/read.md": found(TEXT)})
    assert other == built(PLAIN)


def test_the_canonical_bytes_are_those_of_rfc_8785() -> None:
    """Ours are written without the library; with it they are the same, whatever a text holds."""
    for text in ("plain", 'quotes " and \\', "tab\tand\nline", "\u00e9 \U0001f600 </script>"):
        course = built(with_(summary=text)).course
        value = json.loads(course_bytes(course))
        assert jcs_bytes(value) == course_bytes(course)


def test_the_vectors_say_the_same(repository: Path) -> None:
    loaded = json.loads((repository / "tests" / "vectors" / "training.json").read_text())
    said = loaded["course"]
    raw = said["canonical"].encode()
    course = read_course(raw)
    assert course_hash(raw).hex() == said["hash"]
    assert course_object_id(PartnerId.parse(said["author"]), course.id) == said["object_id"]
    assert course.quiz is not None
    question = course.quiz.questions[0]
    assert (
        answer_digest(course.id, course.version, question, said["right_choices"])
        == said["right"]
        == question.right
    )
    names = loaded["pseudonyms"]["names"]
    assert {
        name: pseudonym_under(bytes.fromhex(loaded["pseudonyms"]["secret"]), name) for name in names
    } == names
    assert len(set(names.values())) == 2, "case, blanks and composed letters do not matter"


def test_any_change_is_another_course() -> None:
    hashes = [course_hash(course_bytes(built(PLAIN).course))]
    changes: list[dict[str, Any]] = [
        {"version": "1.0.1"},
        {"title": "First aid!"},
        {"summary": "x"},
        {"begins": "2026-01-01"},
        {"material": []},
        {"material": [{"file": "materials/read.md", "name": "other.md"}]},
        {"quiz": {"pass_mark": 50, "question": PLAIN["quiz"]["question"]}},
        {"exercise": {"pack": "a", "version": "1.0.0", "pack_hash": "00" * 32, "pass_mark": 1}},
    ]
    hashes += [course_hash(course_bytes(built(with_(**one)).course)) for one in changes]
    answers = json.loads(json.dumps(PLAIN["quiz"]))
    answers["question"][0]["answer"] = [1]
    hashes.append(course_hash(course_bytes(built(with_(quiz=answers)).course)))
    files = {"materials/read.md": found(TEXT + b".")}
    hashes.append(course_hash(course_bytes(built(PLAIN, files).course)))
    assert len(set(hashes)) == len(hashes)


def test_no_right_answer_stands_in_what_travels() -> None:
    """Nor does the object hold a text of the course in the clear: a question about TLP:RED must not mark it."""
    questions = [{"id": "tlp", "text": "What is TLP:RED?", "choices": ["One", "Two"], "answer": [2]}]
    raw = the_object(built(with_(quiz={"question": questions})))
    stated = json.loads(base64.b64decode(json.loads(raw)["course_bin"]))
    assert set(stated["quiz"]["questions"][0]) == {"choices", "id", "right", "several", "text"}
    checked = check_object(raw)
    assert not isinstance(checked, Fault)
    assert not checked.words


def test_the_right_choices_score_and_no_others() -> None:
    course = built(PLAIN).course
    assert score_quiz(course, {"first": (2,), "then": (2, 1)}) == (2, 2)
    assert score_quiz(course, {"first": (1,), "then": (1, 2)}).percent == 50
    assert score_quiz(course, {"first": (1, 2), "then": (1,)}).percent == 0
    assert score_quiz(course, {}).percent == 0
    with pytest.raises(AuthorError, match="no question"):
        score_quiz(course, {"other": (1,)})
    with pytest.raises(AuthorError, match="1 to 3"):
        score_quiz(course, {"then": (4,)})
    with pytest.raises(AuthorError, match="1 to 3"):
        score_quiz(course, {"then": (-1,)})


def test_a_digest_of_one_question_is_none_of_another() -> None:
    """Else who knows the answers of one course looks them up for all."""
    one = CourseQuestion("a", "?", ("x", "y"), several=False, right="0" * 32)
    other = CourseQuestion("b", "?", ("x", "y"), several=False, right="0" * 32)
    digests = {
        answer_digest(course, version, question, [1])
        for course in ("c", "d")
        for version in ("1", "2")
        for question in (one, other)
    }
    assert len(digests) == 8


def test_versions_are_numbers() -> None:
    assert version_key("1.10") > version_key("1.9.9") > version_key("1")
    assert version_key("1") == version_key("1.0.0")


HOSTILE_PATHS = [
    "../secret.md",
    "/etc/passwd",
    "a/../../b.md",
    "a//b.md",
    "./a.md",
    "a\\..\\b.md",
    "c:b.md",
    "",
    "a\x00.md",
    "a\n.md",
    "a/",
    "\u202egnp.md",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_path_that_leaves_the_folder_is_never_opened(path: str) -> None:
    manifest = with_(material=[{"file": path, "name": "a.md"}])
    read, _ = read_manifest(json.dumps(manifest).encode(), is_json=True)
    assert read is not None
    assert read.files() == []
    assert rules_of(manifest)[1] == ["path-outside"]


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"format": "p2pshare-course/2"}, "format"),
    ({"more": 1}, "format"),
    ({"id": "Upper"}, "format"),
    ({"id": "a\n"}, "format"),
    ({"version": "1.0.0-rc"}, "format"),
    ({"version": "01"}, "format"),
    ({"language": "English"}, "format"),
    ({"begins": "2026-13-01"}, "format"),
    ({"begins": "2026-02-02", "ends": "2026-02-01"}, "time-backwards"),
    ({"title": ""}, "text"),
    ({"title": " blank"}, "text"),
    ({"title": "x" * 257}, "text"),
    ({"title": "a\x1b[2Jb"}, "text"),
    ({"provider": "a\u202eb"}, "text"),
    ({"title": "What TLP:RED means"}, "marking-in-title"),
    ({"summary": "a\x07b"}, "text"),
    ({"summary": "x" * 4_001}, "format"),
    ({"material": [], "quiz": None}, "empty"),
    ({"material": [{"file": "run.exe"}]}, "material-kind"),
    ({"material": [{"file": "macro.docm"}]}, "material-kind"),
    ({"material": [{"file": "noending"}]}, "material-kind"),
    ({"material": [{"file": "a.md", "name": "../a.md"}]}, "material-name"),
    ({"material": [{"file": "a.md", "name": ".bashrc.md"}]}, "material-name"),
    ({"material": [{"file": "a.md", "name": "CON.md"}]}, "material-name"),
    ({"material": [{"file": "a.md", "name": "x" * 101}]}, "material-name"),
    ({"material": [{"file": "a.json", "name": "course.json"}]}, "name-twice"),
    ({"material": [{"file": "a.md", "sha256": "00" * 32}]}, "wrong-hash"),
    ({"material": [{"file": f"{number}.md"} for number in range(65)]}, "format"),
    ({"quiz": {"question": []}}, "format"),
    ({"quiz": {"pass_mark": 0, "question": PLAIN["quiz"]["question"]}}, "format"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"answer": [3]}]}}, "answer"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"answer": [0]}]}}, "answer"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"answer": [1, 1]}]}}, "answer"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"choices": ["a", "a"]}]}}, "choice-twice"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"choices": ["a", " "]}]}}, "text"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"text": "a\u2028b"}]}}, "text"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0]] * 2}}, "id-twice"),
    ({"quiz": {"question": [PLAIN["quiz"]["question"][0] | {"id": f"q{n}"} for n in range(101)]}}, "format"),
    ({"exercise": {"pack": "a", "version": "1", "pack_hash": "zz", "pass_mark": 1}}, "format"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "rule"), BROKEN, ids=[f"{n}-{rule}" for n, (_, rule) in enumerate(BROKEN)]
)
def test_what_is_wrong_in_a_manifest_is_told_by_its_rule(changes: dict[str, Any], rule: str) -> None:
    course, rules = rules_of(with_(**changes))
    assert course is None and rule in rules


def test_files_that_are_missing_or_too_large_are_told() -> None:
    assert rules_of(PLAIN, {"materials/read.md": None})[1] == ["material-missing"]
    huge = FileFound(2**40, "00" * 32, None)
    assert rules_of(PLAIN, {"materials/read.md": huge})[1] == ["too-large"]


def test_two_materials_are_not_written_over_one_another() -> None:
    files = {"a.html": found(b"1"), "b.txt": found(b"2"), "c.md": found(b"3")}
    materials = [{"file": "a.html"}, {"file": "b.txt", "name": "A.HTML.TXT"}]
    assert "name-twice" in rules_of(with_(material=materials), files)[1]
    same = {"a.md": found(b"1"), "b.md": found(b"1")}
    assert "material-twice" in rules_of(with_(material=[{"file": "a.md"}, {"file": "b.md"}]), same)[1]


def test_what_a_browser_would_run_is_written_as_text() -> None:
    files = {"page.HTML": found(b"<script>"), "drawing.svg": found(b"<svg/>")}
    materials = [{"file": "page.HTML"}, {"file": "drawing.svg"}]
    course = built(with_(material=materials), files).course
    assert [one.written_name for one in course.materials] == ["page.HTML.txt", "drawing.svg.txt"]


def test_what_is_too_large_goes_by_hash_alone() -> None:
    half = TRAVELLING_BYTES_MAX // 2 + 1
    files = {name: found(name.encode() * half) for name in ("a.md", "b.md", "c.md")}
    files = {name: FileFound(half, one.sha256, b"x" * half) for name, one in files.items()}
    materials = [{"file": "a.md"}, {"file": "b.md"}, {"file": "c.md", "travels": False}]
    course = built(with_(material=materials), files)
    assert len(course.payloads) == 1 and course.by_hash == ("b.md", "c.md")
    one_mib = len(the_object(course))
    assert one_mib <= 1024 * 1024


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        b"{",
        b"[1]",
        b'{"id": "a", "id": "b"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"x" * (MANIFEST_BYTES_MAX + 1),
        b'{"title": "\\ud800"}',
    ],
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    for is_json in (True, False):
        manifest, problems = read_manifest(raw, is_json=is_json)
        assert manifest is None and problems[0].rule in ("format", "too-large")


def test_half_a_surrogate_pair_is_refused() -> None:
    raw = json.dumps(with_(title="a\ud800b")).encode()
    read, _ = read_manifest(raw, is_json=True)
    assert read is not None
    course, problems = build_course(read, {"materials/read.md": found(TEXT)})
    assert course is None and {one.rule for one in problems} & {"text", "too-large"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_nothing_breaks_the_reader_of_manifests(raw: bytes) -> None:
    for is_json in (True, False):
        manifest, problems = read_manifest(raw, is_json=is_json)
        assert (manifest is None) == bool(problems)


# --- objects of partners ---------------------------------------------------------------------------


def test_an_object_gives_the_course_back_with_its_materials() -> None:
    course = built(PLAIN)
    read = read_course_object(the_object(course), AUTHOR)
    assert read.course == course.course
    assert read.hash == course_hash(course_bytes(course.course))
    assert list(read.payloads.values()) == [TEXT]
    assert read_course_head(the_object(course), AUTHOR).hash == read.hash


def reason_of(raw: bytes, author: PartnerId = AUTHOR) -> str:
    with pytest.raises(PeerError) as refused:
        read_course_object(raw, author)
    return refused.value.reason


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(the_object(built(PLAIN))) | changes).encode()


def stated(**changes: Any) -> bytes:
    """Returns an object with another course in it, written canonically."""
    value = json.loads(course_bytes(built(PLAIN).course)) | changes
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    return changed(course_bin=base64.b64encode(raw).decode())


def test_a_course_of_another_author_does_not_count_as_ones_own() -> None:
    assert reason_of(the_object(built(PLAIN)), OTHER) == "wrong-author"
    assert reason_of(changed(id=course_object_id(AUTHOR, "other"))) == "wrong-author"
    assert (
        reason_of(changed(created_by_ref="identity--00000000-0000-4000-8000-000000000000")) == "wrong-author"
    )


def test_a_material_that_the_course_does_not_name_is_refused() -> None:
    payload = {"payload_bin": base64.b64encode(b"#!/bin/sh\n").decode()}
    assert reason_of(changed(materials=[payload])) == "wrong-material"


def test_hostile_objects_are_refused_and_never_crash() -> None:
    material = json.loads(course_bytes(built(PLAIN).course))["materials"][0]
    for raw in (
        b"{}",
        b"[",
        b"\xff",
        changed(type="indicator"),
        changed(course_bin="%%%"),
        changed(course_bin=7),
        changed(course_bin=base64.b64encode(b"[" * 50_000).decode()),
        changed(course_bin=base64.b64encode(b"x" * (MANIFEST_BYTES_MAX + 1)).decode()),
        changed(materials=[{"payload_bin": "%"}]),
        changed(materials=[{"payload_bin": ""}] * 65),
        changed(materials="x"),
        stated(more=1),
        stated(title="a\x1b[2J"),
        stated(title="\ud800"),
        stated(version="1.0.0\n"),
        stated(materials=[material | {"name": "../../.bashrc"}]),
        stated(materials=[material | {"name": "a.exe"}]),
        stated(materials=[material | {"bytes": -1}]),
        stated(materials=[material | {"bytes": True}]),
        stated(materials=[material | {"sha256": "00"}]),
        stated(materials=[material, material]),
        stated(quiz={"pass_mark": 101, "questions": []}),
        stated(format="p2pshare-course/2"),
        stated(id="../up"),
    ):
        assert reason_of(raw) in ("malformed", "wrong-author"), raw[:200]


def test_a_course_in_another_form_is_not_canonical() -> None:
    raw = course_bytes(built(PLAIN).course)
    for other in (raw + b" ", raw.replace(b'"id"', b'"\\u0069d"', 1), raw.replace(b":", b": ", 1)):
        assert reason_of(changed(course_bin=base64.b64encode(other).decode())) == "not-canonical"
    twice = raw.replace(b'"id":"first-aid"', b'"id":"x","id":"first-aid"', 1)
    assert reason_of(changed(course_bin=base64.b64encode(twice).decode())) == "not-canonical"


def test_each_rule_and_reason_stands_on_the_page(repository: Path) -> None:
    source = repository / "src" / "p2pshare"
    page = (repository / "docs" / "training.md").read_text() + (repository / "docs" / "cli.md").read_text()
    rules = set(
        re.findall(
            r'CourseProblem\(\s*"([a-z-]+)"',
            "".join((source / name).read_text() for name in ("intel/course.py", "node/course_files.py")),
        )
    )
    reasons = set(
        re.findall(
            r'reason="([a-z-]+)"',
            "".join(
                (source / name).read_text()
                for name in (
                    "cli/training.py",
                    "operations/training.py",
                    "node/training_files.py",
                    "node/course_files.py",
                    "intel/course.py",
                )
            ),
        )
    )
    assert {"path-outside", "empty"} <= rules and {"wrong-material", "course-over"} <= reasons, (
        "the search itself works"
    )
    assert sorted(one for one in rules | reasons if f"`{one}`" not in page) == []


def test_our_course_is_one(repository: Path) -> None:
    from p2pshare.node.course_files import read_course_folder

    course, problems = read_course_folder(repository / "config" / "courses" / "first-warning")
    assert course is not None, problems
    assert isinstance(course.course, Course)
    assert course.by_hash == () and course.course.quiz is not None and len(course.course.quiz.questions) == 5
