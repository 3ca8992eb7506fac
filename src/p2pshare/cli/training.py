"""`p2pshare training`: courses of partners, taken here, and attestations of them that a partner verifies offline.

A course travels as a STIX object, so it is published, replaced and withdrawn as everything else (docs/training.md). Who took it stays in this home, by
pseudonym; a name is typed, and kept nowhere. Nobody's name is in an argument of a request to the daemon.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    UsageProblem,
    json_option,
    open_input,
    owner_output_option,
    read_input,
    required_output_option,
)
from p2pshare.cli.output import OWN_MODE, open_output, write_output
from p2pshare.cli.session import ask, connect, read_or_ask, report_when_it_leaves
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, PeerError, RefusedError
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, KIB, MIB, TTL_CLASS_BY_NAME

if TYPE_CHECKING:
    from p2pshare.envelope.attestation import Attestation
    from p2pshare.intel.course import BuiltCourse, Course, CourseMaterial, CourseQuestion, TravellingCourse
    from p2pshare.node.training_files import TrainingResult
    from p2pshare.operations.training import CourseHeld, CourseShown

EXIT_BAD = 1
ANSWERS_BYTES_MAX = 64 * KIB  # a hundred questions with eight numbers each
EXERCISE_RESULT_BYTES_MAX = 1 * MIB
EXERCISE_RESULT_FORMAT = "p2pshare-exercise-result/1"
PROBLEMS_SHOWN_MAX = 20
COPY_BYTES = 1 * MIB
_COLUMNS = (
    "pseudonym",
    "course",
    "version",
    "title",
    "provider",
    "quiz",
    "exercise",
    "tries",
    "completed",
    "course hash",
)


@click.group(cls=Group)
def training() -> None:
    """courses: publish, take and attest them; no person's name leaves the node"""


# --- publishing ----------------------------------------------------------------------------------------


@training.command("publish")
@click.argument("folder", metavar="DIR", shell_complete=complete_file)
@click.option(
    "--tlp", metavar="LEVEL", required=True, help="its marking: clear, green, amber, amber+strict or red"
)
@click.option(
    "--to", "names", metavar="NAME|GROUP", multiple=True, help="who may read it; may be given again"
)
@click.option(
    "--ttl", type=click.Choice(list(TTL_CLASS_BY_NAME)), help="how long partners carry it; else the config's"
)
@click.option("--share-private", is_flag=True, help="share what tells of your own network and people, too")
@click.option(
    "--again",
    is_flag=True,
    help="the same version once more: to partners that came since, or under another marking",
)
@click.option("--dry-run", is_flag=True, help="check the folder and show who would get it; nothing leaves")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def publish_course(
    home: Path,
    folder: str,
    tlp: str,
    names: tuple[str, ...],
    ttl: str | None,
    share_private: bool,
    again: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """publish the course in the folder DIR, or the one of that name that comes with the program; a newer version takes the place of the older one"""
    import time

    from p2pshare.envelope.card import believe_chain
    from p2pshare.intel.course import course_bytes, course_hash, course_object
    from p2pshare.intel.instants import SECOND_US, parse_instant
    from p2pshare.intel.marking import Tlp
    from p2pshare.node.home import CARD_FILE_NAME, require_home

    level = Tlp.parse(tlp)
    built = _built(folder)
    course, digest = built.course, course_hash(course_bytes(built.course)).hex()
    own = believe_chain((require_home(home) / CARD_FILE_NAME).read_bytes())
    before = _own_before(home, own.partner_id.text, course.id)
    answer: dict[str, Any] = {
        "course": course.id,
        "version": course.version,
        "hash": digest,
        "by_hash": list(built.by_hash),
        "envelopes": [],
        "recipients": [],
    }
    if before is not None and _is_there(before, digest, course.version) and not (before.withdrawn or again):
        _answer_publish(answer | {"is_new": False}, as_json=as_json)
        return 0
    if not share_private:
        _look_for_private(home, built)
    now_us = time.time_ns() // 1_000
    last_us = 0 if before is None or before.modified is None else parse_instant(before.modified)
    object_raw = course_object(
        course,
        built.payloads,
        author=own.partner_id,
        created_us=now_us if before is None else parse_instant(before.created),
        modified_us=max(now_us, last_us + SECOND_US // 1_000),
        tlp=level,
    )
    for name in built.by_hash:
        console.say(f"by hash alone, too large to travel or told not to: {console.shown(name)}")
    is_asked = not (yes or dry_run) and console.can_ask()
    answer |= _seal(
        home,
        object_raw,
        (own.partner_id, own.name),
        level,
        (names, ttl),
        share_private,
        is_asked=is_asked,
        is_dry=dry_run,
    )
    _answer_publish(answer | {"is_new": True}, as_json=as_json, is_dry=dry_run)
    return 0


def _built(folder: str) -> BuiltCourse:
    """Returns the course in a folder, or of ours. Raises AuthorError `bad-course` with the first problems said."""
    from p2pshare.node.course_files import read_course_folder, shipped_courses

    path = Path(folder)
    shipped = {} if path.is_dir() or os.sep in folder else shipped_courses()
    try:
        built, problems = read_course_folder(shipped.get(folder, path))
    except AuthorError as error:
        if not shipped:
            raise
        hint = f"{error.hint}; these come with the program: {', '.join(shipped)}"
        raise AuthorError(error.message, hint=hint, reason=error.reason) from None
    if built is None:
        for one in problems[:PROBLEMS_SHOWN_MAX]:
            console.say(
                f"refused: {one.rule}: {console.shown(one.where or folder)}: {console.shown(one.message)}"
            )
        raise AuthorError(
            f"{folder} is no course that can be published: {problems[0].message}",
            hint='docs/training.md, "A course as a folder", has every rule',
            reason="bad-course",
        )
    return built


def _own_before(home: Path, own: str, course: str) -> CourseHeld | None:
    """Returns our course of that id as it is published now, withdrawn or not."""
    from p2pshare.operations.training import FindCourseVersion

    with suppress(NotFoundError):
        return read_or_ask(home, FindCourseVersion(own, course)).held
    return None


def _is_there(before: CourseHeld, digest: str, version: str) -> bool:
    """Returns whether exactly this was published already. Raises RefusedError `version-not-later` where another content would take its place."""
    from p2pshare.intel.course import version_key

    if before.hash == digest:
        return True
    if version_key(version) <= version_key(before.version):
        raise RefusedError(
            f"version {before.version} is published, with another content",
            hint="raise `version` in the manifest: who took one must know which",
            reason="version-not-later",
        )
    return False


def _look_for_private(home: Path, built: BuiltCourse) -> None:
    """Look for what tells of our own network and people in all that can be read as text. Raises RefusedError."""
    from p2pshare.config import load_config
    from p2pshare.intel.course import learner_texts
    from p2pshare.node.home import CONFIG_NAME
    from p2pshare.policy.privacy import find_in_object
    from p2pshare.sharing.screening import privacy_rules

    rules = privacy_rules(load_config(home / CONFIG_NAME).privacy)
    texts = learner_texts(built.course)
    for payload in built.payloads:
        with suppress(UnicodeDecodeError):
            texts.append(payload.decode("utf-8"))
    found = find_in_object({"type": "note", "texts": texts}, rules)
    if found is not None:
        raise RefusedError(
            f"the course tells of our own network or people: {console.shown(found.example)}",
            hint="if it shall leave all the same: --share-private",
            reason=found.reason,
        )


def _seal(
    home: Path,
    object_raw: bytes,
    author: tuple[Any, str],
    tlp: Any,
    addressed: tuple[tuple[str, ...], str | None],
    share_private: bool,
    *,
    is_asked: bool,
    is_dry: bool,
) -> dict[str, Any]:
    """Publish one object with our identity, as `p2pshare publish` does; returns recipients and envelopes. Raises RefusedError."""
    import time

    from p2pshare.envelope.payload import compress_frame
    from p2pshare.intel.authoring import identity_object
    from p2pshare.operations.publishing import Discard, Part, Prepare, Seal

    names, ttl = addressed
    identity = identity_object(author[0], author[1], created=int(time.time()), tlp=tlp)
    frame = compress_frame(b"[" + identity + b"," + object_raw + b"]")
    request = Prepare(
        parts=(Part(tlp, (frame,), 2, 1),),
        to=names,
        ttl_class=None if ttl is None else TTL_CLASS_BY_NAME[ttl],
        dry_run=is_dry,
        share_private=share_private,
    )
    with connect(home) as session:
        prepared = session.run(request)
        if prepared.refusal is not None:
            raise RefusedError(
                prepared.refusal.message, hint=prepared.refusal.hint, reason=prepared.refusal.reason
            )
        if prepared.refused:
            if prepared.token:
                session.run(Discard(prepared.token))
            first = prepared.refused[0]
            raise RefusedError(
                f"the course cannot be published: {first.reason}",
                hint="docs/training.md says what a course may be",
                reason=first.reason,
            )
        console.say(
            f"{', '.join(prepared.markings)}, for {', '.join(map(console.shown, prepared.recipients))}"
        )
        for left_out in prepared.skipped:
            console.warn(f"{left_out.name} is left out: {left_out.reason}")
        told: dict[str, Any] = {"recipients": prepared.recipients, "envelopes": []}
        if is_dry:
            return told
        if is_asked and not console.ask("publish?"):
            session.run(Discard(prepared.token))
            raise RefusedError("nothing was published", reason="not-confirmed")
        told["envelopes"] = session.run(Seal(prepared.token)).envelopes
        report_when_it_leaves(session, told["envelopes"])
    return told


def _answer_publish(answer: Mapping[str, Any], *, as_json: bool, is_dry: bool = False) -> None:
    if as_json:
        console.print_json(answer)
        return
    done = (
        "dry run: nothing was published"
        if is_dry
        else "published"
        if answer["is_new"]
        else "is published already"
    )
    console.print_result(f"{answer['course']}  {answer['version']}  {done}")
    console.print_result(f"hash {answer['hash']}")


# --- what is held --------------------------------------------------------------------------------------


@training.command("list")
@json_option
@click.pass_obj
def list_courses(home: Path, as_json: bool) -> int:
    """list the courses that are held here: by whom, in which version, how many completed it here, and whether it was withdrawn"""
    from msgspec import to_builtins

    from p2pshare.operations.training import ListCourses

    held = read_or_ask(home, ListCourses())
    counts = _counts(home)
    listed = [
        to_builtins(one)
        | {"taken": counts.get(one.hash, (0, 0))[0], "completed": counts.get(one.hash, (0, 0))[1]}
        for one in held.each
    ]
    if as_json:
        console.print_json({"courses": listed, "refused": held.refused, "is_cut": held.is_cut})
    else:
        rows = [
            (
                one["course"],
                one["version"],
                one["hash"][:12],
                one["author"],
                f"withdrawn: {one['withdrawn']}"
                if one["withdrawn"]
                else f"{one['completed']} of {one['taken']} completed",
                one["title"],
            )
            for one in listed
        ]
        console.print_table(("course", "version", "hash", "from", "state", "title"), rows)
        if not rows:
            console.say(
                "no course is held here; partners publish them, and so do you: `p2pshare training publish`"
            )
    for refused in held.refused:
        console.warn(f"a course of {refused.author} cannot be read: {refused.reason}")
    if held.is_cut:
        console.say("older ones are not listed: `p2pshare search --type p2pshare-course` finds them")
    return EXIT_PARTLY_DONE if held.refused else 0


def _counts(home: Path) -> dict[str, tuple[int, int]]:
    """Returns how many people took a course here, and completed it, by its hash; none where this user may not read it."""
    counts: dict[str, tuple[int, int]] = {}
    try:
        for one in _results(home):
            taken, completed = counts.get(one.hash, (0, 0))
            counts[one.hash] = (taken + 1, completed + bool(one.completed))
    except OperatorError as error:
        console.warn(f"who took what cannot be read: {error.message}")
    return counts


def _results(home: Path) -> list[TrainingResult]:
    """Returns who took what here; tells what cannot be read. Raises OperatorError."""
    from p2pshare.node.training_files import training_results

    kept = training_results(home)
    if kept.damaged:
        console.warn(
            f"{console.counted(len(kept.damaged), 'result')} cannot be read and not counted: {kept.damaged[0]}"
        )
    return kept.results


def _shown(home: Path, called: str) -> tuple[CourseShown, TravellingCourse]:
    """Returns the course that is called so, with its materials. Raises NotFoundError, PeerError."""
    from p2pshare.identifiers import PartnerId
    from p2pshare.intel.course import read_course_object
    from p2pshare.operations.training import ShowCourse

    shown = read_or_ask(home, ShowCourse(called))
    _require_stands(shown.held)
    return shown, read_course_object(shown.raw, PartnerId.parse(shown.held.author_id))


def _require_stands(held: CourseHeld) -> None:
    """Raises RefusedError `course-withdrawn`."""
    if held.withdrawn:
        raise RefusedError(
            f"{held.author} has withdrawn this course: {held.withdrawn}",
            hint="what was completed before stays in `p2pshare training report`",
            reason="course-withdrawn",
        )


# --- materials -----------------------------------------------------------------------------------------


@training.command("fetch")
@click.argument("called", metavar="COURSE")
@click.option(
    "-o",
    "directory",
    metavar="DIR",
    required=True,
    shell_complete=complete_file,
    help="the folder for them; made where it is not there",
)
@click.option(
    "--from",
    "files",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_file,
    help="a file that came in another way: a material that the course names by hash alone; may be given again",
)
@json_option
@click.pass_obj
def fetch_course(home: Path, called: str, directory: str, files: tuple[str, ...], as_json: bool) -> int:
    """write the materials of COURSE into a folder, each compared with its hash; nothing is overwritten, and what a browser would run is written as text

    Exit code 6 when materials are missing that the course names by hash alone.
    """
    from p2pshare.intel.course import COURSE_FILE

    shown, travelling = _shown(home, called)
    named = {one.sha256: one for one in travelling.course.materials}
    brought = _brought(files, named)
    folder = Path(directory)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OperatorError(
            f"{directory} is there and is no folder", hint="name another one", reason="file-exists"
        )
    with _told(folder):
        folder.mkdir(exist_ok=True)
    written: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    _write_new(folder / COURSE_FILE, iter((travelling.raw,)), hashlib.sha256(travelling.raw).hexdigest())
    for one in travelling.course.materials:
        told: dict[str, Any] = {"name": one.name, "sha256": one.sha256, "bytes": one.bytes}
        if one.sha256 in travelling.payloads:
            content: Iterator[bytes] = iter((travelling.payloads[one.sha256],))
        elif one.sha256 in brought:
            content = _chunks(brought[one.sha256])
        else:
            missing.append(told)
            continue
        _write_new(folder / one.written_name, content, one.sha256)
        written.append(told | {"file": one.written_name})
    if as_json:
        console.print_json(
            {
                "course": shown.held.course,
                "version": shown.held.version,
                "hash": shown.held.hash,
                "written": written,
                "missing": missing,
            }
        )
    else:
        for told in written:
            console.print_result(f"{told['file']}  {told['bytes']} bytes  sha256 {told['sha256']}")
        for told in missing:
            console.say(f"missing: {told['name']}, {told['bytes']} bytes, sha256 {told['sha256']}")
    if missing:
        console.say(
            "hint: what the course names by hash alone comes in another way; give it with --from FILE"
        )
    return EXIT_PARTLY_DONE if missing else 0


def _brought(files: Sequence[str], named: Mapping[str, CourseMaterial]) -> dict[str, Path]:
    """Returns files that a person brings, by their SHA-256. Raises AuthorError `wrong-hash` for one that the course does not name."""
    found: dict[str, Path] = {}
    for file in files:
        digest = hashlib.sha256()
        for chunk in _chunks(Path(file)):
            digest.update(chunk)
        if digest.hexdigest() not in named:
            raise AuthorError(
                f"{file} is none of the course's materials: its SHA-256 is {digest.hexdigest()}",
                hint="it was changed on its way, or is of another version",
                reason="wrong-hash",
            )
        found[digest.hexdigest()] = Path(file)
    return found


def _chunks(path: Path) -> Iterator[bytes]:
    from p2pshare.intel.course import MATERIAL_BYTES_MAX

    try:
        if not path.is_file():  # a pipe gives its bytes once, and they are read twice
            raise AuthorError(f"{path} is no file", hint="save it to a file", reason="no-file")
        with path.open("rb") as stream:
            size = 0
            while chunk := stream.read(COPY_BYTES):
                size += len(chunk)
                if size > MATERIAL_BYTES_MAX:
                    raise AuthorError(f"{path} is larger than a material may be", reason="oversized")
                yield chunk
    except OSError as error:
        raise AuthorError(f"cannot read {path}: {(error.strerror or 'unknown').lower()}") from None


def _write_new(target: Path, content: Iterator[bytes], sha256: str) -> None:
    """Write a file that is not there yet, whole or not at all; one that is there with these bytes stays. Raises OperatorError `file-exists`."""
    with _told(target):
        if os.path.lexists(target):
            if target.is_symlink() or not target.is_file() or _sha256_of(target) != sha256:
                raise OperatorError(
                    f"{target} is there with another content",
                    hint="nothing is overwritten: name another folder",
                    reason="file-exists",
                )
            return
    digest = hashlib.sha256()
    with open_output(str(target)) as stream:
        for chunk in content:
            digest.update(chunk)
            stream.write(chunk)
        if digest.hexdigest() != sha256:
            raise AuthorError(f"{target.name} was changed while it was read", reason="wrong-hash")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell an operating system's refusal of a path as what it is. Raises OperatorError."""
    try:
        yield
    except OSError as error:
        raise console.unwritable(str(path), error) from None


# --- taking it -----------------------------------------------------------------------------------------


@training.command("take")
@click.argument("called", metavar="COURSE")
@click.option(
    "--as",
    "name",
    metavar="LOCALNAME",
    help="who takes it: becomes a pseudonym, and is kept nowhere; - or nothing: asked for",
)
@click.option(
    "--answers",
    metavar="FILE",
    shell_complete=complete_file,
    help="answers to the quiz: TOML or JSON, the number of a choice (or a list) for each question",
)
@click.option(
    "--exercise-result",
    metavar="FILE",
    shell_complete=complete_file,
    help="what `exercise replay --solo` wrote about the course's exercise",
)
@click.option(
    "--read", "is_read", is_flag=True, help="of a course without quiz and exercise: the materials were read"
)
@json_option
@click.pass_obj
def take_course(
    home: Path,
    called: str,
    name: str | None,
    answers: str | None,
    exercise_result: str | None,
    is_read: bool,
    as_json: bool,
) -> int:
    """take the quiz of COURSE, or hand in the result of its exercise; the better scores of one person are kept here, under a pseudonym

    Exit code 5 when it was not passed.
    """
    from p2pshare.node.training_files import TrainingResult, note_result, pseudonym_of
    from p2pshare.node.undumpable import make_undumpable

    make_undumpable()  # a name is in its memory
    shown, travelling = _shown(home, called)
    course = travelling.course
    today = _today()
    _require_in_time(course, today)
    _require_something(course, answers, exercise_result, is_read)
    person = _name(name)
    quiz = _take_quiz(course, answers, is_wanted=exercise_result is None)
    score = None if exercise_result is None else _exercise_score(course, exercise_result)
    pseudonym = pseudonym_of(home, person, may_make=True)
    this_try = TrainingResult(
        hash=shown.held.hash,
        pseudonym=pseudonym,
        author=shown.held.author_id,
        course=course.id,
        version=course.version,
        title=course.title,
        provider=course.provider,
        quiz=None if quiz is None else quiz.percent,
        exercise=score,
        tries=1,
        last=today,
        completed="",
    )
    kept = note_result(home, this_try, lambda best: _is_passed(course, best.quiz, best.exercise))
    _tell_taken(course, kept, quiz, score, as_json=as_json)
    return 0 if kept.completed else RefusedError.exit_code


def _is_passed(course: Course, quiz: int | None, exercise: int | None) -> bool:
    quiz_passed = course.quiz is None or (quiz is not None and quiz >= course.quiz.pass_mark)
    exercise_passed = course.exercise is None or (
        exercise is not None and exercise >= course.exercise.pass_mark
    )
    return quiz_passed and exercise_passed


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _require_in_time(course: Course, today: str) -> None:
    if course.begins and today < course.begins:
        raise RefusedError(f"the course begins on {course.begins}", reason="course-not-begun")
    if course.ends and today > course.ends:
        raise RefusedError(
            f"the course ended on {course.ends}",
            hint="its provider publishes another version",
            reason="course-over",
        )


def _require_something(
    course: Course, answers: str | None, exercise_result: str | None, is_read: bool
) -> None:
    """Raise UsageProblem where what is handed in does not fit what the course has."""
    if answers is not None and course.quiz is None:
        raise UsageProblem("the course has no quiz")
    if exercise_result is not None and course.exercise is None:
        raise UsageProblem("the course has no exercise")
    has_nothing = course.quiz is None and course.exercise is None
    if is_read and not has_nothing:
        raise UsageProblem("this course is completed by its quiz and exercise", hint="leave --read out")
    if has_nothing and not is_read:
        raise UsageProblem(
            "the course has no quiz and no exercise", hint="when its materials were read: --read"
        )
    if (
        not has_nothing
        and answers is None
        and exercise_result is None
        and (course.quiz is None or not console.can_ask())
    ):
        raise UsageProblem(
            "nothing is handed in",
            hint="--answers FILE for the quiz, --exercise-result FILE for the exercise; on a terminal the quiz is asked",
        )


def _name(name: str | None) -> str:
    if name is not None and name != STANDARD_STREAM:
        return name
    if not console.can_ask():
        raise UsageProblem("who takes it?", hint="--as LOCALNAME; it becomes a pseudonym and is kept nowhere")
    return console.ask_text("who takes it? (becomes a pseudonym, kept nowhere):")


class _QuizTaken(NamedTuple):
    right: int
    of: int
    percent: int
    questions: dict[str, bool]


def _take_quiz(course: Course, answers: str | None, *, is_wanted: bool) -> _QuizTaken | None:
    """Returns how the quiz went: from a file, or asked on the terminal; None where it was not taken now. Raises AuthorError."""
    from p2pshare.intel.course import answer_digest, score_quiz

    if course.quiz is None or (answers is None and not is_wanted):
        return None
    given = _asked(course.quiz.questions) if answers is None else _read_answers(answers)
    score = score_quiz(course, given)
    each = {
        one.id: answer_digest(course.id, course.version, one, given.get(one.id, ())) == one.right
        for one in course.quiz.questions
    }
    return _QuizTaken(score.right, score.of, score.percent, each)


def _asked(questions: Iterable[CourseQuestion]) -> dict[str, tuple[int, ...]]:
    given: dict[str, tuple[int, ...]] = {}
    for question in questions:
        console.say("")
        for line in question.text.split("\n"):
            console.say(console.shown(line) if line else "")
        for number, choice in enumerate(question.choices, start=1):
            console.say(f"  {number}  {console.shown(choice)}")
        wanted = "the numbers of all that are right:" if question.several else "the number of what is right:"
        while question.id not in given:
            words = console.ask_text(wanted).replace(",", " ").split()
            if not words:
                raise RefusedError(
                    "the quiz was not taken to its end; nothing is kept", reason="not-confirmed"
                )
            if all(
                one.isdecimal() and one.isascii() and len(one) < 3 and 1 <= int(one) <= len(question.choices)
                for one in words
            ):
                given[question.id] = tuple(map(int, words))
            else:
                console.say(f"a number from 1 to {len(question.choices)}; several with blanks between them")
    return given


def _read_answers(file: str) -> dict[str, tuple[int, ...]]:
    """Returns the numbers of choices by question. Raises AuthorError `bad-answers`."""
    raw = read_input(file, ANSWERS_BYTES_MAX)
    try:
        text = raw.decode("utf-8")
        value = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError):
        value = None
    given: dict[str, tuple[int, ...]] = {}
    for name, chosen in value.items() if isinstance(value, dict) else ():
        several = chosen if isinstance(chosen, list) else [chosen]
        if not all(type(one) is int for one in several):
            value = None
            break
        given[name] = tuple(several)
    if not isinstance(value, dict):
        raise AuthorError(
            f"{file} has no answers",
            hint="TOML as `worth = 2` and `seen = [1, 3]`, or JSON",
            reason="bad-answers",
        )
    return given


def _exercise_score(course: Course, file: str) -> int:
    """Returns the score in a result of `exercise replay --solo`. Raises AuthorError `bad-exercise-result`, RefusedError `other-exercise`."""
    assert course.exercise is not None, "asked before"
    raw = read_input(file, EXERCISE_RESULT_BYTES_MAX)
    try:
        value = json.loads(raw)
        said = value["format"], value["pack"], value["version"], value["pack_hash"]
        score = value["score"]
    except (ValueError, RecursionError, KeyError, TypeError):
        said, score = ("", "", "", ""), None
    if said[0] != EXERCISE_RESULT_FORMAT or type(score) is not int or not 0 <= score <= 100:
        raise AuthorError(
            f"{file} is no result of an exercise",
            hint="`p2pshare exercise replay DIR --solo --json` writes one",
            reason="bad-exercise-result",
        )
    wanted = course.exercise
    if said[1:] != (wanted.pack, wanted.version, wanted.pack_hash):
        raise RefusedError(
            "this is the result of another exercise, or of another version",
            hint=f"the course asks for {wanted.pack} {wanted.version} with the hash {wanted.pack_hash}; `p2pshare exercise lint DIR` prints that of a pack",
            reason="other-exercise",
        )
    return score


def _tell_taken(
    course: Course, kept: TrainingResult, quiz: _QuizTaken | None, score: int | None, *, as_json: bool
) -> None:
    told: dict[str, Any] = {
        "course": kept.course,
        "version": kept.version,
        "hash": kept.hash,
        "pseudonym": kept.pseudonym,
        "quiz": None
        if quiz is None or course.quiz is None
        else {
            "right": quiz.right,
            "of": quiz.of,
            "percent": quiz.percent,
            "pass_mark": course.quiz.pass_mark,
            "questions": [{"id": one, "right": is_right} for one, is_right in quiz.questions.items()],
        },
        "exercise": None
        if score is None or course.exercise is None
        else {"score": score, "pass_mark": course.exercise.pass_mark},
        "tries": kept.tries,
        "completed": kept.completed,
    }
    if as_json:
        console.print_json(told)
    else:
        if quiz is not None and course.quiz is not None:
            console.print_result(
                f"quiz  {quiz.right} of {quiz.of}, {quiz.percent} percent, passed with {course.quiz.pass_mark}"
            )
            wrong = [one for one, is_right in quiz.questions.items() if not is_right]
            if wrong:
                console.print_result(f"not right  {', '.join(wrong)}")
        if score is not None and course.exercise is not None:
            console.print_result(f"exercise  {score} percent, passed with {course.exercise.pass_mark}")
        console.print_result(f"completed  {kept.completed or 'not yet'}")
        console.print_result(f"pseudonym  {kept.pseudonym}")
    if kept.tries == 1:
        console.say(
            "hint: this is the first result of this course under this name; a name that is typed in another way is another person"
        )
    if not kept.completed:
        console.say(_what_is_missing(course, kept))
        if course.exercise is not None and (kept.exercise or 0) < course.exercise.pass_mark:
            console.say(
                f"hint: `p2pshare exercise replay {course.exercise.pack} --solo -o FILE` plays it (or the pack's folder in place of its name); "
                "then `training take` with --exercise-result FILE"
            )


def _what_is_missing(course: Course, kept: TrainingResult) -> str:
    missing = []
    if course.quiz is not None and (kept.quiz is None or kept.quiz < course.quiz.pass_mark):
        missing.append(f"the quiz, with {course.quiz.pass_mark} percent")
    if course.exercise is not None and (kept.exercise is None or kept.exercise < course.exercise.pass_mark):
        missing.append(
            f"the exercise {course.exercise.pack} {course.exercise.version}, with {course.exercise.pass_mark} percent"
        )
    return f"still to pass: {' and '.join(missing)}"


# --- attestations --------------------------------------------------------------------------------------


@training.command("attest")
@click.argument("called", metavar="COURSE")
@required_output_option
@click.option(
    "--pseudonyms",
    "is_listing",
    is_flag=True,
    help="list the pseudonyms of those who completed it; else their number alone",
)
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def attest_course(home: Path, called: str, file: str, is_listing: bool, yes: bool, as_json: bool) -> None:
    """sign, for this organisation, how many people completed COURSE here; no name is in it"""
    from p2pshare.envelope.attestation import PSEUDONYMS_MAX
    from p2pshare.node.home import require_home
    from p2pshare.operations.training import AttestCourse

    completed = _completed(_results(require_home(home)), called)
    first = completed[0]
    if is_listing and len(completed) > PSEUDONYMS_MAX:
        raise RefusedError(
            f"an attestation lists at most {PSEUDONYMS_MAX} pseudonyms",
            hint="leave --pseudonyms out",
            reason="too-many-pseudonyms",
        )
    pseudonyms = tuple(sorted(bytes.fromhex(one.pseudonym) for one in completed)) if is_listing else ()
    people = "1 person" if len(completed) == 1 else f"{len(completed)} people"
    console.say(
        f"{people} completed {console.shown(first.title)} {first.version} of {console.shown(first.provider)}"
    )
    console.say("listed by pseudonym" if is_listing else "their number alone is said")
    if not yes and console.can_ask() and not console.ask("sign this?"):
        raise RefusedError("nothing was signed", reason="not-confirmed")
    author, course_raw = _stated(home, first)
    raw = ask(home, AttestCourse(author, course_raw, len(completed), pseudonyms)).raw
    write_output(file, raw)
    if as_json and file != STANDARD_STREAM:
        console.print_json(
            {
                "course": first.course,
                "version": first.version,
                "hash": first.hash,
                "completed": len(completed),
                "pseudonyms": [one.hex() for one in pseudonyms],
            }
        )
    if file != STANDARD_STREAM:
        console.say(
            f"written to {console.shown(file)}; with your card a partner verifies it: p2pshare training verify FILE CARD"
        )


def _stated(home: Path, result: TrainingResult) -> tuple[str, bytes]:
    """Returns who published the course that was completed, and its canonical bytes in its version. Two may publish the same one: that of whom it was
    taken, or another's where that was withdrawn. Raises NotFoundError, RefusedError `course-withdrawn`."""
    from p2pshare.identifiers import PartnerId
    from p2pshare.intel.course import read_course_object
    from p2pshare.operations.training import FindCourseVersion

    shown = read_or_ask(home, FindCourseVersion(result.author, result.course, result.hash))
    _require_stands(shown.held)
    author = shown.held.author_id
    return author, read_course_object(shown.raw, PartnerId.parse(author)).raw


def _completed(results: Iterable[TrainingResult], called: str) -> list[TrainingResult]:
    """Returns the results of those who completed the course that is called so, by id or the beginning of its hash. Raises NotFoundError."""
    found = [
        one
        for one in results
        if one.completed
        and (called == one.course or (len(called) >= 6 and one.hash.startswith(called.lower())))
    ]
    if not found:
        raise NotFoundError(
            "nobody has completed a course that is called so",
            hint="`p2pshare training report` has who did",
            reason="nobody-completed",
        )
    found = [one for one in found if one.hash == called.lower()] or found
    versions = {one.hash: one.version for one in found}
    if len(versions) > 1:
        told = ", ".join(f"{one[:12]} ({version})" for one, version in sorted(versions.items())[:5])
        raise NotFoundError(
            "more than one course, or version, is called so",
            hint=f"give the beginning of its hash: {told}",
            reason="ambiguous-course",
        )
    return found


@training.command("verify")
@click.argument("file", shell_complete=complete_file)
@click.argument("card", metavar="CARD-FILE", shell_complete=complete_file)
@click.option(
    "--course",
    metavar="DIR|FILE|HASH",
    shell_complete=complete_file,
    help="the course that it must be of: its folder, its course.json, or its hash",
)
@json_option
@click.pass_obj
def verify_attestation(home: Path, file: str, card: str, course: str | None, as_json: bool) -> int:
    """verify the attestation in FILE against the organisation's card, offline; no home folder is needed

    Exit code 1 when a check failed; the check says why.
    """
    from p2pshare.envelope.attestation import ATTESTATION_BYTES_MAX, is_attestation
    from p2pshare.envelope.card import believe_chain, check_time
    from p2pshare.envelope.card import fingerprint as fingerprint_of

    with open_input(file) as stream:
        raw = stream.read(ATTESTATION_BYTES_MAX + 1)  # what is larger fails the first check
    card_raw = read_input(card, CARD_CHAIN_BYTES_MAX)
    wanted = None if course is None else _wanted_hash(course)
    now = int(datetime.now(UTC).timestamp())
    checks = _Checks()
    attestation = checks.make("shape", lambda: _decoded(raw))
    signer = checks.make("card: its roots signed every version", lambda: believe_chain(card_raw))
    if signer is not None:
        checks.make("card: in its time", lambda: check_time(signer, now))
    else:
        checks.leave_out("card: in its time")
    key = None
    if attestation is not None and signer is not None:
        from p2pshare.envelope.attestation import check_signer, verify_signature

        key = checks.make(
            "key: of this card, in its time, not revoked",
            lambda: check_signer(attestation.training, signer, now),
        )
        if key is not None:
            checks.make("both signatures", lambda: verify_signature(attestation, key))
        else:
            checks.leave_out("both signatures")
    else:
        checks.leave_out("key: of this card, in its time, not revoked", "both signatures")
    if wanted is not None:
        if attestation is not None:
            checks.make("course", lambda: _check_course(attestation, wanted))
        else:
            checks.leave_out("course")
    facts = {} if attestation is None else _facts(attestation)
    if signer is not None:
        facts |= {"name": signer.name, "fingerprint": fingerprint_of(signer.partner_id)}
    verdict = "good" if checks.are_good else "bad"
    if as_json:
        console.print_json({"kind": "attestation", "verdict": verdict} | facts | {"checks": checks.made})
    else:
        console.print_fields({name: value for name, value in facts.items() if name != "pseudonyms" or value})
        for number, check in enumerate(checks.made, start=1):
            console.print_result(
                f"check {number:<7} {check['name']}: {check['verdict']} {check['reason']}".rstrip()
            )
        console.say(f"{verdict}: {console.shown(file)}")
        if attestation is None and is_attestation(card_raw):
            console.say("hint: the attestation comes first, then the card of who signed it")
        if checks.are_good:
            console.say("hint: the name is what the card says of itself; compare the fingerprint")
            if wanted is None:
                console.say(
                    "hint: title and provider are what the organisation says; --course compares the course"
                )
    return 0 if checks.are_good else EXIT_BAD


class _Checks:
    """Checks as they were made, in order."""

    def __init__(self) -> None:
        self.made: list[dict[str, str]] = []

    def make(self, name: str, check: Any) -> Any:
        """Returns what the check gives; None where it failed."""
        try:
            found = check()
        except PeerError as error:
            self.made.append({"name": name, "verdict": "failed", "reason": error.reason})
            return None
        self.made.append({"name": name, "verdict": "passed", "reason": ""})
        return found

    def leave_out(self, *names: str) -> None:
        self.made += [{"name": name, "verdict": "not made", "reason": ""} for name in names]

    @property
    def are_good(self) -> bool:
        return all(one["verdict"] == "passed" for one in self.made)


def _decoded(raw: bytes) -> Attestation:
    from p2pshare.envelope.attestation import decode_attestation

    return decode_attestation(raw)


def _check_course(attestation: Attestation, wanted: bytes) -> None:
    if attestation.training.course_hash != wanted:
        raise PeerError("an attestation is of another course", reason="wrong-course")


def _wanted_hash(course: str) -> bytes:
    """Returns the hash of a course that is given as one, as the course.json that `fetch` wrote (or its folder), or as the folder of its author.
    Raises AuthorError `bad-course`."""
    from p2pshare.intel.course import COURSE_FILE, MANIFEST_BYTES_MAX, course_bytes, course_hash, read_course
    from p2pshare.node.course_files import shipped_courses

    path = Path(course)
    if len(course) == 64 and not path.exists():
        with suppress(ValueError):
            return bytes.fromhex(course)
    fetched = path / COURSE_FILE if path.is_dir() else path
    if fetched.is_file():
        raw = read_input(str(fetched), MANIFEST_BYTES_MAX)
        with suppress(PeerError):
            read_course(raw)
            return course_hash(raw)
    if not path.is_dir() and course not in shipped_courses():
        raise AuthorError(
            f"{course} is no course",
            hint="give its folder, its course.json, its whole hash (64 digits), or the name of one that comes with the program",
            reason="bad-course",
        )
    return course_hash(course_bytes(_built(course).course))


def _facts(attestation: Attestation) -> dict[str, Any]:
    said = attestation.training
    return {
        "partner_id": said.author.text,
        "created": _instant(said.created),
        "course": said.course,
        "version": said.version,
        "title": said.title,
        "provider": said.provider,
        "course_hash": said.course_hash.hex(),
        "course_author": said.course_author.text,
        "completed": said.completed,
        "pseudonyms": [one.hex() for one in said.pseudonyms],
        "key_id": said.key_id.text,
    }


def _instant(seconds: int) -> str:
    from p2pshare.intel.instants import SECOND_US, format_instant

    return format_instant(seconds * SECOND_US) or str(seconds)


# --- for an auditor ------------------------------------------------------------------------------------


@training.command("report")
@click.argument("called", metavar="COURSE", required=False)
@click.option("--as", "name", metavar="LOCALNAME", help="of one person alone; - : asked for")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["table", "csv", "markdown"]),
    default="table",
    show_default=True,
    help="how it is written",
)
@owner_output_option
@json_option
@click.pass_obj
def report(
    home: Path, called: str | None, name: str | None, format_name: str, file: str, as_json: bool
) -> None:
    """tell who completed what, by pseudonym: for an auditor"""
    from p2pshare.node.home import require_home
    from p2pshare.node.training_files import pseudonym_of

    results = _results(require_home(home))
    if called is not None:
        results = [
            one
            for one in results
            if called == one.course or (len(called) >= 6 and one.hash.startswith(called.lower()))
        ]
    if name is not None:
        pseudonym = pseudonym_of(home, _name(name), may_make=False)
        results = [one for one in results if one.pseudonym == pseudonym]
    results.sort(key=lambda one: (one.course, one.version, one.pseudonym))
    if as_json:
        with open_output(file, mode=OWN_MODE) as stream:
            stream.write(
                (console.json_text([_result_json(one) for one in results], indent=2) + "\n").encode()
            )
        return
    rows = [_row(one) for one in results]
    if format_name == "table" and file == STANDARD_STREAM:
        console.print_table(_COLUMNS, rows)
    else:
        text = _csv(rows) if format_name == "csv" else _markdown(rows)
        with open_output(file, mode=OWN_MODE) as stream:
            stream.write(text.encode())
    completed = sum(1 for one in results if one.completed)
    console.say(f"{console.counted(len(results), 'result')}, {completed} completed")


def _result_json(one: TrainingResult) -> dict[str, Any]:
    return {
        "pseudonym": one.pseudonym,
        "course": one.course,
        "version": one.version,
        "title": one.title,
        "provider": one.provider,
        "hash": one.hash,
        "author_id": one.author,
        "quiz": one.quiz,
        "exercise": one.exercise,
        "tries": one.tries,
        "last": one.last,
        "completed": one.completed or None,
    }


def _row(one: TrainingResult) -> tuple[object, ...]:
    return (
        one.pseudonym,
        one.course,
        one.version,
        one.title,
        one.provider,
        one.quiz,
        one.exercise,
        one.tries,
        one.completed,
        one.hash,
    )


def _csv(rows: Iterable[Sequence[object]]) -> str:
    from p2pshare.intel.display import spreadsheet_cell

    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow(["" if cell is None else spreadsheet_cell(str(cell)) for cell in row])
    return out.getvalue()


def _markdown(rows: Iterable[Sequence[object]]) -> str:
    from p2pshare.exporters.incidents.incident_markdown import escaped

    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
    lines += [
        "| " + " | ".join(escaped("" if cell is None else str(cell)) for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"
