"""Training that stays here: the secret of pseudonyms and who completed what, files of the home's folder `training`, which nothing that sends opens.

Only the command `training` reads and writes them. **No name of a person is in any of them**: a name is typed, becomes a pseudonym, and is forgotten.

    secret                      32 random bytes, made with the first result; without it nobody can tell whose a pseudonym is, not even its owner
    results/HASH-PSEUDONYM.json what one person made of one course

The secret is no key of the key file: daily keys are replaced every month, root keys lie elsewhere, and a learner must not need the node's
passphrase. It is part of a backup of the home. Whoever removes it makes the pseudonyms of before nobody's, for good.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ELOOP, ENOENT, ENXIO
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from p2pshare.errors import AuthorError, NotFoundError, OperatorError
from p2pshare.node.whole_files import UNFINISHED, make_folder, put_whole

FOLDER = "training"
SECRET_NAME = "secret"  # noqa: S105 - a file's name
RESULTS = "results"
SECRET_BYTES = 32
PSEUDONYM_BYTES = 16
DOMAIN_PSEUDONYM = b"p2pshare/v1/training-pseudonym\x00"
NAME_CHARACTERS_MAX = 200
RESULT_BYTES_MAX = 4_096
RESULTS_MAX = 100_000  # files of one home: a thousand people and a hundred courses
TRIES_MAX = 1_000_000
_RESULT = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})\.json")

_Score = Annotated[int, msgspec.Meta(ge=0, le=100)]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class TrainingResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one person made of one course: best scores in percent, None for what was not done; days in UTC (`2026-12-01`), `completed` empty until
    all was passed."""

    hash: _Hex
    pseudonym: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    author: _Hex
    course: str
    version: str
    title: str
    provider: str
    quiz: _Score | None
    exercise: _Score | None
    tries: Annotated[int, msgspec.Meta(ge=1, le=TRIES_MAX)]
    last: str
    completed: str


def pseudonym_of(home: Path, name: str, *, may_make: bool) -> str:
    """Returns the pseudonym of a name in this home. Raises AuthorError `bad-name`; NotFoundError `no-pseudonyms` where there is no secret and it
    `may_make` none; OperatorError."""
    folded = _folded(name)
    folder = home / FOLDER
    with _told(folder), ExitStack() as held:
        if may_make:
            make_folder(folder)
        if folder.is_dir():
            held.enter_context(_locked(folder))
            _sweep(folder)
        return _pseudonym(_secret(home, may_make=may_make), folded)


def pseudonym_under(key: bytes, name: str) -> str:
    """Returns the pseudonym of a name under a secret, 32 hexadecimal digits: HMAC-SHA-384, cut to 16 bytes. Case, blanks at the ends and between words,
    and the way in which a letter is composed do not matter. Raises AuthorError `bad-name`."""
    return _pseudonym(key, _folded(name))


def _folded(name: str) -> bytes:
    folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    try:
        raw = folded.encode()
    except UnicodeEncodeError:
        raw = b""
    if not raw or len(folded) > NAME_CHARACTERS_MAX:
        raise AuthorError(
            f"a name is a text of 1 to {NAME_CHARACTERS_MAX} characters",
            hint="--as NAME, or - to be asked",
            reason="bad-name",
        )
    return raw


def _pseudonym(key: bytes, folded: bytes) -> str:
    return hmac.digest(key, DOMAIN_PSEUDONYM + folded, hashlib.sha384).hex()[: 2 * PSEUDONYM_BYTES]


def _secret(home: Path, *, may_make: bool) -> bytes:
    path = home / FOLDER / SECRET_NAME
    with _told(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if not may_make:
                raise NotFoundError(
                    "nobody has a pseudonym here yet",
                    hint="`p2pshare training take` makes the first one",
                    reason="no-pseudonyms",
                ) from None
            _make_secret(path)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            raw = stream.read(SECRET_BYTES + 1)
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise OperatorError(
            f"{path}: others can read the secret of pseudonyms",
            hint=f"chmod 600 {path}",
            reason="training-secret",
        )
    if len(raw) != SECRET_BYTES:
        raise OperatorError(
            f"{path}: not the secret of pseudonyms, or a damaged one",
            hint="restore it from a backup; a new one makes other pseudonyms of the same people",
            reason="training-secret",
        )
    return raw


def _make_secret(path: Path) -> None:
    """Put a new secret where there is none; of two that make one at once, the first counts."""
    put_whole(path, secrets.token_bytes(SECRET_BYTES), may_replace=False)


def _sweep(folder: Path) -> None:
    """Remove what a command that was killed left unfinished: it may be a second copy of the secret, which must go when the secret goes."""
    for name in os.listdir(folder):
        if UNFINISHED.fullmatch(name):
            with suppress(FileNotFoundError):
                (folder / name).unlink()


def note_result(
    home: Path, this_try: TrainingResult, is_passed: Callable[[TrainingResult], bool]
) -> TrainingResult:
    """Keep a try together with those before it of the same person and course; returns what holds from now on: the better scores, and the day on which
    all was passed first, as `is_passed` says of them. Raises OperatorError, `damaged-result` where what was kept cannot be read: it may say that all
    was passed, so nothing is written over it."""
    folder = home / FOLDER / RESULTS
    target = folder / f"{this_try.hash}-{this_try.pseudonym}.json"
    with _told(target):
        make_folder(folder.parent)
        make_folder(folder)
        with _locked(folder):
            _sweep(folder)
            before = _read(target)
            if before is None and os.path.lexists(target):
                raise OperatorError(
                    f"{target}: this is no result any more",
                    hint="restore it from a backup, or remove it and hand in again",
                    reason="damaged-result",
                )
            if before is None and sum(1 for _ in folder.iterdir()) >= RESULTS_MAX:
                raise OperatorError(
                    f"{RESULTS_MAX} results are kept in {folder}",
                    hint="report them, and remove old ones",
                    reason="too-many-results",
                )
            kept = this_try if before is None else _together(before, this_try)
            if not kept.completed and is_passed(kept):
                kept = msgspec.structs.replace(kept, completed=kept.last)
            put_whole(target, msgspec.json.encode(kept))
    return kept


def _together(before: TrainingResult, now: TrainingResult) -> TrainingResult:
    def better(first: int | None, second: int | None) -> int | None:
        return max((one for one in (first, second) if one is not None), default=None)

    return msgspec.structs.replace(
        now,
        quiz=better(before.quiz, now.quiz),
        exercise=better(before.exercise, now.exercise),
        tries=min(before.tries + now.tries, TRIES_MAX),
        completed=before.completed,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other commands out while a result is read and written again."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class ResultsKept(NamedTuple):
    """All results, by course hash and pseudonym, and the names of files that should be results and cannot be read as such."""

    results: list[TrainingResult]
    damaged: list[str]


def training_results(home: Path) -> ResultsKept:
    """Returns what is kept here. Raises OperatorError."""
    folder = home / FOLDER / RESULTS
    kept = ResultsKept([], [])
    with _told(folder):
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return kept
        for name in [one for one in names if _RESULT.fullmatch(one)][:RESULTS_MAX]:
            result = _read(folder / name)
            if result is None:
                kept.damaged.append(name)
            else:
                kept.results.append(result)
    return kept


def _read(path: Path) -> TrainingResult | None:
    """Returns the result in a file whose name says the same; None for one that is none, a link or a pipe, or not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (ENOENT, ELOOP, ENXIO):
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        raw = os.read(descriptor, RESULT_BYTES_MAX)
    finally:
        os.close(descriptor)
    try:
        result = msgspec.json.decode(raw, type=TrainingResult)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return result if path.name == f"{result.hash}-{result.pseudonym}.json" else None


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{path}: {(error.strerror or 'unknown').lower()}",
            hint="run as the daemon's user",
            reason="training-files",
        ) from None
