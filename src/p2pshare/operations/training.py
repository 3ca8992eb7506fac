"""`training`: the courses that are held here, and the attestation of one, signed by this organisation.

Who took a course never comes here: the command keeps it beside the store (`node/training_files.py`), and hands over a number and pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice, pairwise
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from p2pshare.envelope.attestation import (
    COMPLETED_MAX,
    PSEUDONYM_BYTES,
    PSEUDONYMS_MAX,
    AttestedTraining,
    is_ascending,
    sign_attestation,
)
from p2pshare.errors import AuthorError, NotFoundError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.course import (
    COURSE,
    MANIFEST_BYTES_MAX,
    CourseHead,
    CourseWord,
    course_hash,
    course_object_id,
    read_course,
    read_course_head,
)
from p2pshare.intel.instants import format_instant
from p2pshare.knowledge.interface import ObjectVersion, Wanted
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.interface import Query, Request

COURSES_PER_AUTHOR_MAX = 64  # the newest that came: who publishes more hides none of another's
COURSES_WALKED_MAX = 4_096  # of all authors together, so of 64 at least: bounds what one list reads
VERSIONS_READ_MAX = 64  # of one course, the newest: bounds what is read to find one of them
SHORTEST_HASH = 6  # digits of a course hash by which it may be called
CANDIDATES_TOLD_MAX = 5
DIGITS_SHOWN = 12  # of a hash, where they are enough

CourseHashText = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
CoursePartnerText = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class CourseHeld(Struct, frozen=True, forbid_unknown_fields=True):
    """A course that is held here, in its newest version. `hash` is the course hash in hexadecimal; `withdrawn`: its author's reason, empty where it
    stands; `created`, `modified`: of its object (ISO 8601)."""

    hash: str
    course: str
    version: str
    title: str
    provider: str
    language: str
    begins: str | None
    ends: str | None
    summary: str
    author: str
    author_id: str
    tlp: str
    withdrawn: str
    object_id: str
    created: str
    modified: str | None
    materials: int
    questions: int
    exercise: str
    """The pack and its version, empty for a course without one."""


class CourseRefused(Struct, frozen=True, forbid_unknown_fields=True):
    """An object that says it is a course, and is none that this program reads."""

    author: str
    reason: str


class CoursesHeld(Struct, frozen=True, forbid_unknown_fields=True):
    """The courses, newest arrival first; what could not be read; and whether older ones were not looked at."""

    each: list[CourseHeld]
    refused: list[CourseRefused]
    is_cut: bool


class ListCourses(Query[CoursesHeld], frozen=True, tag="training-list"):
    """List the courses that are held here."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> CoursesHeld:
        names = node.store.partners.names()
        each: list[CourseHeld] = []
        refused: list[CourseRefused] = []
        walk = _CourseWalk(node.store)
        for version in walk:
            author = names.get(version.author, version.author.text)
            try:
                head = read_course_head(version.raw, version.author)
            except PeerError as error:
                refused.append(CourseRefused(author, error.reason))
            else:
                each.append(_held(node.store, version, head, author))
        return CoursesHeld(each, refused, walk.is_cut)


class CourseShown(Struct, frozen=True, forbid_unknown_fields=True):
    """A course that is held here, and its object as its author sealed it."""

    held: CourseHeld
    raw: bytes


class ShowCourse(Query[CourseShown], frozen=True, tag="training-show"):
    """Show the course that is called so: by its id, the id of its object, or the beginning of its hash."""

    course: Annotated[str, Meta(min_length=1, max_length=256)]

    def run(self, node: NodeReading, now: int, progress: Progress) -> CourseShown:
        version, head = _called(node.store, self.course)
        names = node.store.partners.names()
        author = names.get(version.author, version.author.text)
        return CourseShown(_held(node.store, version, head, author), version.raw)


class FindCourseVersion(Query[CourseShown], frozen=True, tag="training-find"):
    """Show the version of `author`'s course that has this hash, replaced by a newer one or not; without a hash the current one.

    Where the author has withdrawn what is wanted by its hash, or it is not held any more, another partner's copy that stands is shown instead: two may
    publish the same course.
    """

    author: CoursePartnerText
    course: CourseWord
    hash: CourseHashText | None = None

    def run(self, node: NodeReading, now: int, progress: Progress) -> CourseShown:
        names = node.store.partners.names()
        author = PartnerId.parse(self.author)
        shown = self._of(node.store, author, names)
        if self.hash is not None and (shown is None or shown.held.withdrawn):
            for other in sorted(names.keys() - {author}):
                copy = self._of(node.store, other, names)
                if copy is not None and not copy.held.withdrawn:
                    return copy
        if shown is None:
            raise _no_course()
        return shown

    def _of(
        self, store: StoreReading, author: PartnerId, names: Mapping[PartnerId, str]
    ) -> CourseShown | None:
        object_id, name = course_object_id(author, self.course), names.get(author, author.text)
        versions = store.knowledge.object_versions(object_id, author, VERSIONS_READ_MAX)
        is_withdrawn = any(one.is_revoked for one in versions)  # a withdrawal takes the older ones with it
        for version in reversed(versions):
            with suppress(PeerError):
                head = read_course_head(version.raw, author)
                if head.hash.hex() == self.hash or (self.hash is None and version.is_current):
                    known = replace(version, is_revoked=is_withdrawn)
                    return CourseShown(_held(store, known, head, name), version.raw)
        return None


class AttestedCourse(Struct, frozen=True, forbid_unknown_fields=True):
    """The attestation, a file of docs/training.md."""

    raw: bytes


class AttestCourse(Request[AttestedCourse], frozen=True, tag="training-attest"):
    """Sign that so many people of this organisation completed the course with these canonical bytes, which `author` published; `pseudonyms` has all
    of them, or none. Nothing is read from the store: what a partner stored there costs the writer nothing."""

    author: CoursePartnerText
    course: Annotated[bytes, Meta(min_length=1, max_length=MANIFEST_BYTES_MAX)]
    completed: Annotated[int, Meta(ge=1, le=COMPLETED_MAX)]
    pseudonyms: Annotated[tuple[bytes, ...], Meta(max_length=PSEUDONYMS_MAX)] = ()

    def run(self, node: Node, now: int, progress: Progress) -> AttestedCourse:
        whole = all(len(one) == PSEUDONYM_BYTES for one in self.pseudonyms)
        if not whole or not is_ascending(self.pseudonyms) or len(self.pseudonyms) not in (0, self.completed):
            raise AuthorError(
                "the pseudonyms are other people than are counted",
                hint="all of them, ascending, or none",
                reason="bad-pseudonyms",
            )
        try:
            course = read_course(self.course)
        except PeerError as error:
            raise AuthorError(f"this is no course: {error.message}", reason="bad-course") from None
        key = node.identity.operational.sign
        training = AttestedTraining(
            author=node.identity.partner_id,
            key_id=key.key_id,
            created=now,
            course_hash=course_hash(self.course),
            course_author=PartnerId.parse(self.author),
            course=course.id,
            version=course.version,
            title=course.title,
            provider=course.provider,
            completed=self.completed,
            pseudonyms=self.pseudonyms,
        )
        return AttestedCourse(sign_attestation(training, key))


class _CourseWalk:
    """The current versions of all courses, newest arrival first, as far as they are looked at. `is_cut`: some were left out."""

    def __init__(self, store: StoreReading) -> None:
        self._store = store
        self.is_cut = False

    def __iter__(self) -> Iterator[ObjectVersion]:
        seen = Counter[PartnerId]()
        wanted = Wanted(type=COURSE, of_each_author=COURSES_PER_AUTHOR_MAX + 1)
        found = self._store.knowledge.search(wanted, lambda done, of: None)
        for version in islice(found, COURSES_WALKED_MAX):
            seen[version.author] += 1
            if seen[version.author] <= COURSES_PER_AUTHOR_MAX:
                yield version
        self.is_cut = seen.total() == COURSES_WALKED_MAX or any(
            one > COURSES_PER_AUTHOR_MAX for one in seen.values()
        )


def _called(store: StoreReading, called: str) -> tuple[ObjectVersion, CourseHead]:
    """Returns the course that is called so. Raises NotFoundError `no-course`, `ambiguous-course`.

    Its whole hash and the id of its object mean this course and no other, whatever ids others give theirs: an id may look like a hash.
    """
    found: list[tuple[ObjectVersion, CourseHead]] = []
    exact: list[tuple[ObjectVersion, CourseHead]] = []
    for version in _CourseWalk(store):
        try:
            head = read_course_head(version.raw, version.author)
        except PeerError:
            continue
        digest = head.hash.hex()
        if called.lower() == digest or called == course_object_id(version.author, head.course.id):
            exact.append((version, head))
        elif called == head.course.id or (len(called) >= SHORTEST_HASH and digest.startswith(called.lower())):
            found.append((version, head))
    found = exact or found
    if not found:
        raise _no_course()
    by_hash = {head.hash.hex(): version.author for version, head in reversed(found)}
    if len(by_hash) > 1:
        names = store.partners.names()
        digits = _digits_apart(by_hash)
        told = ", ".join(
            f"{digest[:digits]} from {names.get(author, author.text)}"
            for digest, author in sorted(by_hash.items())[:CANDIDATES_TOLD_MAX]
        )
        raise NotFoundError(
            "more than one course is called so",
            hint=f"give the beginning of its hash: {told}",
            reason="ambiguous-course",
        )
    return next((one for one in found if not one[0].is_revoked), found[0])  # several publish the same course


def _digits_apart(hashes: Iterable[str]) -> int:
    """Returns how many digits tell hashes apart, 12 at least: whoever has a day can make two that begin alike."""
    each = sorted(hashes)
    digits = DIGITS_SHOWN
    for before, after in pairwise(each):
        while before[:digits] == after[:digits] and digits < len(after):
            digits += 1
    return digits


def _no_course() -> NotFoundError:
    return NotFoundError(
        "no such course is held here", hint="`p2pshare training list` has those that are", reason="no-course"
    )


def _held(store: StoreReading, version: ObjectVersion, head: CourseHead, author: str) -> CourseHeld:
    course, object_id = head.course, course_object_id(version.author, head.course.id)
    withdrawal = store.knowledge.withdrawals(object_id).get(version.author) if version.is_revoked else None
    return CourseHeld(
        hash=head.hash.hex(),
        course=course.id,
        version=course.version,
        title=course.title,
        provider=course.provider,
        language=course.language,
        begins=course.begins,
        ends=course.ends,
        summary=course.summary,
        author=author,
        author_id=version.author.text,
        tlp=version.tlp.label,
        withdrawn=""
        if not version.is_revoked
        else "revoked"
        if withdrawal is None
        else withdrawal.reason.value,
        object_id=object_id,
        created=head.created,
        modified=format_instant(version.modified_us),
        materials=len(course.materials),
        questions=0 if course.quiz is None else len(course.quiz.questions),
        exercise="" if course.exercise is None else f"{course.exercise.pack} {course.exercise.version}",
    )
