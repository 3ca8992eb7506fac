"""The manifest of an exercise's pack, TOML or JSON, read strictly (docs/exercise-packs.md, "Manifest").

All problems are found at once, each with the rule it breaks, its place and how it is mended; nothing is guessed, and what reads well beside a
fault is read on, so that payloads can be looked at in the same go. A pack with any problem is used by nobody.

The cost is bounded by `MANIFEST_BYTES_MAX`: parsers are asked only for text whose brackets and dotted keys they read in time that grows with its
length (tomllib's grows with the square of the parts of one key).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.intel import exercise_pack as pack_words
from p2pshare.intel.display import clip, is_safe
from p2pshare.intel.exercise_pack import (
    ExercisePack,
    MatchValue,
    PackExpectation,
    PackInject,
    PackObjective,
    PackPlace,
    PackProblem,
)
from p2pshare.intel.incident_words import DETERMINATIONS, OWN_STATUSES, is_word
from p2pshare.intel.json_text import find_half_surrogate, is_shallow, parse_object, without_bom
from p2pshare.intel.observable import InvalidValue, recognise, refang
from p2pshare.limits import MIB

MANIFEST_BYTES_MAX = 2 * MIB  # a thousand injects of two KiB: tomllib reads it in some two seconds
MANIFEST_NAMES = ("exercise.toml", "exercise.json")
PROBLEMS_MAX = 200  # told of one pack; how many more there are is told beside them
DEPTH_MAX = 16  # brackets in brackets: a manifest has five
PATH_PARTS_MAX = 8  # folders in folders
_DEEP_KEY = re.compile(
    r"""(?:^|[{,\[])[ \t]*(?:(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*){8}""",
    re.MULTILINE,
)
_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,3})D)?(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?", re.ASCII
)
_PACK_ID = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_PLACE_ID = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_OBJECTIVE_ID = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)
_DUTY = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}(?::[a-z0-9][a-z0-9.-]{0,31})?", re.ASCII)

_PACK_MEMBERS = (
    "format",
    "id",
    "version",
    "name",
    "kind",
    "language",
    "duration",
    "time_factor",
    "summary",
    "objective",
    "player",
    "inject",
)
_OBJECTIVE_MEMBERS = ("id", "text")
_PLACE_MEMBERS = ("id", "role", "title", "places")
_INJECT_MEMBERS = (
    "number",
    "at",
    "to",
    "from",
    "channel",
    "objective",
    "payload",
    "text",
    "expected",
    "expect",
)
_EXPECTATION_MEMBERS = ("id", "kind", "action", "match", "by", "within", "late_within", "weight")
_MISSING = object()
_ROLES_AS_IDS = frozenset(pack_words.ROLES)


class Problems:
    """What is wrong, the first `PROBLEMS_MAX` of it; the rest is counted."""

    def __init__(self) -> None:
        self._found: list[PackProblem] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, rule: str, where: str, message: str, mend: str) -> None:
        if len(self._found) < PROBLEMS_MAX:
            self._found.append(PackProblem(rule, where, message, mend))
        else:
            self._more += 1

    def extend(self, others: Collection[PackProblem]) -> None:
        for one in others:
            self.add(*one)

    def told(self) -> list[PackProblem]:
        """Returns all of them; the last says how many are not told."""
        if not self._more:
            return list(self._found)
        rest = PackProblem(
            "too-many", "pack", f"{self._more} more problems are not listed", "mend these, and lint again"
        )
        return [*self._found, rest]


def read_pack(raw: bytes, *, is_json: bool) -> tuple[ExercisePack | None, list[PackProblem]]:
    """Returns the pack of a manifest, and what is wrong with it. With problems the pack is what could be read, or None, and not to be used."""
    problems = Problems()
    parsed = _parse(raw, is_json, problems)
    if parsed is None:
        return None, problems.told()
    pack = _read_pack(_Members(parsed, "manifest", _PACK_MEMBERS, problems), problems)
    _check_whole(pack, problems)
    return pack, problems.told()


def _parse(raw: bytes, is_json: bool, problems: Problems) -> Mapping[str, Any] | None:
    """Returns the outermost table; None where there is none to be read."""
    if len(raw) > MANIFEST_BYTES_MAX:
        problems.add(
            "too-many",
            "manifest",
            f"it is larger than {MANIFEST_BYTES_MAX} bytes",
            "put long texts into payload files, or make two packs of it",
        )
        return None
    try:
        text = without_bom(raw)
        return _parse_json(text, problems) if is_json else _parse_toml(text, problems)
    except AuthorError as error:
        problems.add("format", "manifest", error.message, error.hint or "save it as UTF-8")
    return None


def _parse_json(text: bytes, problems: Problems) -> Mapping[str, Any] | None:
    if not is_shallow(text, DEPTH_MAX):
        problems.add("format", "manifest", "lists and objects nest too deep", "a manifest has five levels")
        return None
    parsed, fault = parse_object(text)
    if parsed is not None and fault is None:
        fault = find_half_surrogate(parsed)
    if parsed is None or fault is not None:
        reason, path = (fault.reason, fault.path) if fault is not None else ("not-json", "")
        if reason == "too-many-brackets":
            most = pack_words.INJECTS_MAX
            problems.add(
                "too-many", "manifest", "it has too many lists and objects", f"{most} injects at most"
            )
            return None
        where = f"manifest at {clip(path)}" if path else "manifest"
        problems.add("format", where, f"it is no JSON object that can be read: {reason}", "check it as JSON")
        return None
    return parsed


def _parse_toml(text: bytes, problems: Problems) -> Mapping[str, Any] | None:
    decoded = text.decode("utf-8").replace("\r\n", "\n")
    deep = _DEEP_KEY.search(decoded)
    if deep is not None:
        line = decoded.count("\n", 0, deep.start() + 1) + 1
        problems.add(
            "format", f"manifest, line {line}", "a key has eight parts or more", "a manifest has keys of two"
        )
        return None
    try:
        return tomllib.loads(decoded)
    except RecursionError:  # tomllib is Python: it ends there, and has harmed nothing
        problems.add("format", "manifest", "lists and tables nest too deep", "a manifest has five levels")
    except ValueError as error:  # a number of thousands of digits is one as well
        problems.add("format", "manifest", f"it is no TOML: {clip(str(error), 160)}", "check it as TOML")
    return None


class _Members:
    """The members of one table, each asked for by what it must be. What is wrong is noted, and something that is of the type is returned."""

    def __init__(self, table: object, where: str, known: tuple[str, ...], problems: Problems) -> None:
        self.where = where
        self._problems = problems
        self._table: Mapping[str, Any] = {}
        if not isinstance(table, Mapping):
            problems.add(
                "format", where, f"it is {_kind_of(table)}, no table", f"write {', '.join(known)} in it"
            )
            self.is_table = False
            return
        self.is_table = True
        self._table = table
        for name in table:
            if name not in known:
                mend = f"what stands here is {', '.join(known)}"
                problems.add("format", where, f"{clip(name)!r} is nothing that stands here", mend)

    def bad(self, rule: str, name: str, message: str, mend: str) -> None:
        self._problems.add(rule, f"{self.where}: {name}" if name else self.where, message, mend)

    def has(self, name: str) -> bool:
        return name in self._table

    def _of_type(self, name: str, types: type, what: str, default: object) -> Any:
        value = self._table.get(name, default)
        if value is _MISSING:
            if self.is_table:
                self.bad("format", name, "it is missing", f"write {what}")
            return None
        if isinstance(value, types) and not (types is int and isinstance(value, bool)):
            return value
        if value is not default:
            self.bad("format", name, f"it is {_kind_of(value)}", f"write {what}")
        return None

    def text(self, name: str, most: int, *, default: object = _MISSING, least: int = 1) -> str:
        """Returns a text; its lines are checked for what a screen would obey by the lint of texts."""
        found = self._of_type(name, str, f"a text of at most {most} characters", default)
        if found is None or (found is default and not self.has(name)):
            return ""
        if not least <= len(found) <= most:
            self.bad("format", name, f"it has {len(found)} characters", f"write {least} to {most}")
            return str(found[:most])
        return str(found)

    def pattern(self, name: str, allowed: re.Pattern[str], what: str, *, default: object = _MISSING) -> str:
        found = self._of_type(name, str, what, default)
        if found is None:
            return ""
        if not self.has(name):
            return str(found)
        if allowed.fullmatch(found) is None:
            self.bad("format", name, f"{clip(found)!r} is none", f"write {what}")
            return ""
        return str(found)

    def word(
        self, name: str, words: Collection[str], *, rule: str = "format", default: object = _MISSING
    ) -> str:
        found = self._of_type(name, str, f"one of {', '.join(words)}", default)
        if found is None:
            return ""
        if found not in words:
            self.bad(rule, name, f"{clip(found)!r} is none", f"write one of {', '.join(words)}")
            return ""
        return str(found)

    def integer(
        self, name: str, least: int, most: int, *, default: object = _MISSING, rule: str = "format"
    ) -> int:
        what = f"a whole number from {least} to {most}"
        found = self._of_type(name, int, what, default)
        if found is None:
            return least
        if not least <= found <= most:
            self.bad(rule, name, "the number is too small or too large", f"write {what}")
            return least
        return int(found)

    def seconds(self, name: str, *, least: int, default: object = _MISSING) -> int | None:
        """Returns a length of time in seconds; None where there is none that reads so."""
        what = "a time as ISO 8601 has it, PT20M or P1DT2H"
        found = self._of_type(name, str, what, default)
        if found is None:
            return None
        length = duration_seconds(found)
        if length is None:
            self.bad("format", name, f"{clip(found)!r} is no length of time", f"write {what}")
            return None
        if not least <= length <= pack_words.SECONDS_MAX:
            most = pack_words.SECONDS_MAX // 86_400
            self.bad("format", name, f"{found} is too short or too long", f"at most {most} days")
            return None
        return length

    def list(self, name: str, most: int, *, needs_one: bool = False) -> list[Any]:
        found = self._of_type(name, list, "a list", _MISSING if needs_one else [])
        if found is None:
            return []
        if len(found) > most:
            self.bad("too-many", name, f"there are {len(found)}", f"have at most {most}")
        if needs_one and not found:
            self.bad("format", name, "there is none", "write at least one")
        return list(found[:most])

    def texts(
        self, name: str, most: int, characters_max: int, *, rule: str = "format", default: object = _MISSING
    ) -> tuple[str, ...]:
        """Returns a list of texts, each once."""
        found = self._of_type(name, list, "a list of texts", default)
        if found is None:
            return ()
        if len(found) > most:
            self.bad("too-many", name, f"there are {len(found)}", f"have at most {most}")
        texts: list[str] = []
        for value in found[:most]:
            if not isinstance(value, str) or not 1 <= len(value) <= characters_max:
                self.bad(rule, name, f"{_shown(value)} is none", f"texts of 1 to {characters_max} characters")
            elif value in texts:
                self.bad(rule, name, f"{clip(value)!r} stands twice", "once is enough")
            else:
                texts.append(value)
        if not texts and not found:
            self.bad(rule, name, "the list is empty", "write at least one, or leave it out")
        return tuple(texts)


def _read_pack(members: _Members, problems: Problems) -> ExercisePack:
    found = members.text("format", 64)
    if found and found != pack_words.FORMAT:
        members.bad("format", "format", f"{clip(found)!r} is not read", f"it is {pack_words.FORMAT}")
    duration = members.seconds("duration", least=1)
    places = _unique(
        "player",
        (
            _read_place(_Members(value, f"player {number}", _PLACE_MEMBERS, problems))
            for number, value in enumerate(members.list("player", pack_words.PLACES_MAX, needs_one=True), 1)
        ),
        problems,
    )
    objectives = _unique(
        "objective",
        (
            _read_objective(_Members(value, f"objective {number}", _OBJECTIVE_MEMBERS, problems))
            for number, value in enumerate(members.list("objective", pack_words.OBJECTIVES_MAX), 1)
        ),
        problems,
    )
    injects = [
        _read_inject(_Members(value, f"inject {number}", _INJECT_MEMBERS, problems), number, problems)
        for number, value in enumerate(members.list("inject", pack_words.INJECTS_MAX, needs_one=True), 1)
    ]
    return ExercisePack(
        members.pattern("id", _PACK_ID, "1 to 64 of a to z, 0 to 9 and -"),
        members.pattern("version", _VERSION, "a version, 1.0.0"),
        _line(members, "name"),
        members.word("kind", pack_words.EXERCISE_KINDS, rule="kind"),
        members.pattern("language", _LANGUAGE, "a language tag, en", default="en") or "en",
        duration or 0,
        members.integer("time_factor", 1, pack_words.TIME_FACTOR_MAX, default=1),
        members.text("summary", pack_words.EXPECTED_CHARACTERS_MAX, default=""),
        objectives,
        places,
        tuple(injects),
    )


def _unique(what: str, found: Iterator[Any], problems: Problems) -> tuple[Any, ...]:
    """Returns those with an id of their own."""
    by_id: dict[str, Any] = {}
    for one in found:
        if one.id in by_id:
            problems.add("id-twice", f"{what} {one.id}", "another one has this id", "give each its own")
        elif one.id:
            by_id[one.id] = one
    return tuple(by_id.values())


def _line(members: _Members, name: str, *, default: object = _MISSING) -> str:
    """Returns a text of one line."""
    found = members.text(name, pack_words.NAME_CHARACTERS_MAX, default=default)
    if found and (not is_safe(found) or not found.strip()):
        members.bad("format", name, "it is no line of text", "write one line, without control characters")
        return ""
    return found


def _read_objective(members: _Members) -> PackObjective:
    return PackObjective(
        members.pattern("id", _OBJECTIVE_ID, "1 to 32 letters, digits and . _ -"),
        members.text("text", pack_words.EXPECTED_CHARACTERS_MAX),
    )


def _read_place(members: _Members) -> PackPlace:
    place = PackPlace(
        members.pattern("id", _PLACE_ID, "1 to 32 of a to z, 0 to 9 and -"),
        members.word("role", pack_words.ROLES),
        _line(members, "title"),
        members.word("places", ("one", "many"), default="one") == "many",
    )
    if place.id in _ROLES_AS_IDS and place.role and place.id != place.role:
        members.bad(
            "format",
            "id",
            f"{place.id} is the name of another role",
            "call it otherwise, or give it the role",
        )
    return place


def _read_inject(members: _Members, position: int, problems: Problems) -> PackInject:
    number = members.integer("number", 1, pack_words.INJECTS_MAX, rule="number")
    if members.has("number") and number != position:
        members.bad(
            "number",
            "number",
            f"it is {number}, and stands as number {position}",
            "number them 1, 2, 3 in their order",
        )
    to = members.texts("to", pack_words.VALUES_MAX, 32)
    text = members.text("text", pack_words.TEXT_CHARACTERS_MAX, default="")
    payload = members.text("payload", pack_words.NAME_CHARACTERS_MAX, default="")
    if members.is_table and members.has("text") == members.has("payload"):
        members.bad(
            "text-or-payload",
            "",
            "it has both a text and a payload" if text else "it has no text and no payload",
            "have one of both",
        )
    if payload and (fault := wrong_path(payload)):
        members.bad("path-outside", "payload", fault, "name a file inside the folder: payload/feed.json")
        payload = ""
    expect = tuple(
        _read_expectation(
            _Members(value, f"{members.where}, expect {place}", _EXPECTATION_MEMBERS, problems), to, problems
        )
        for place, value in enumerate(members.list("expect", pack_words.EXPECTATIONS_MAX), 1)
    )
    inject = PackInject(
        position,
        members.seconds("at", least=0) or 0,
        to,
        _line(members, "from"),
        members.word("channel", pack_words.CHANNELS, rule="kind"),
        members.pattern("objective", _OBJECTIVE_ID, "the id of an objective", default=""),
        payload,
        "" if payload else text,
        members.text("expected", pack_words.EXPECTED_CHARACTERS_MAX, default=""),
        expect,
    )
    try:
        size = len(pack_words.inject_jcs(inject))
    except UnicodeEncodeError:  # what a TOML parser would let through
        members.bad("format", "", "a text in it holds half a character", "write it anew")
    else:
        if size > pack_words.INJECT_BYTES_MAX:
            most = pack_words.INJECT_BYTES_MAX
            members.bad(
                "too-many", "", f"it has {size} bytes", f"at most {most}: put the text into a payload"
            )
    return inject


def duration_seconds(text: str) -> int | None:
    """Returns the seconds of a length of time as ISO 8601 has it in days, hours, minutes and seconds; None for what is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds


def wrong_path(path: str) -> str:
    """Returns why a path does not name a file inside the folder, in words; "" where it does, as far as the path tells."""
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or ":" in path:
        return f"{clip(path)!r} is no relative path"
    if ".." in parts:
        return f"{clip(path)!r} climbs out of the folder"
    if not is_safe(path) or any(part in ("", ".") for part in parts) or len(parts) > PATH_PARTS_MAX:
        return f"{clip(path)!r} is not written plainly"
    return ""


def _read_expectation(members: _Members, to: tuple[str, ...], problems: Problems) -> PackExpectation:
    action = members.word("action", tuple(pack_words.MATCH_FIELDS), rule="action")
    within = members.seconds("within", least=1)
    late = members.seconds("late_within", least=1, default=None)
    if within is not None and late is not None and late <= within:
        members.bad(
            "late-not-later", "late_within", "it is not later than within", "make it later, or leave it out"
        )
    by = members.texts("by", pack_words.VALUES_MAX, 32, default=None) if members.has("by") else to
    return PackExpectation(
        members.pattern("id", _PACK_ID, "1 to 64 of a to z, 0 to 9 and -"),
        members.word("kind", pack_words.EXPECTATION_KINDS, rule="kind"),
        action,
        _read_match(members, action, problems),
        by,
        within or 1,
        late,
        members.integer("weight", 1, pack_words.WEIGHT_MAX, default=1),
    )


def _read_match(members: _Members, action: str, problems: Problems) -> dict[str, MatchValue]:
    """Returns what a match says; its place is that of the expectation."""
    table = members._of_type("match", dict, "a table", {})
    if not table or not action:
        return {}
    known = pack_words.MATCH_FIELDS[action]
    where = f"{members.where}: match"
    for name in table:
        if name not in known:
            mend = f"{action} has {', '.join(known)}" if known else f"{action} has no match: leave it out"
            problems.add("match-field", where, f"{action} has no {clip(name)!r}", mend)
    inside = _Members({name: table[name] for name in table if name in known}, where, known, problems)
    return {
        name: value for name in known if name in table if (value := _match_value(inside, name)) is not None
    }


def _match_value(members: _Members, name: str) -> MatchValue | None:
    """Returns one field of a match; None where it does not read as one."""
    rule = "match-field"
    value = members._table[name]
    if name in ("values", "words", "to"):
        if not isinstance(value, list):
            members.bad(rule, name, f"it is {_kind_of(value)}", "write a list of texts")
            return None
        most = 32 if name == "to" else pack_words.VALUE_CHARACTERS_MAX
        texts = members.texts(name, pack_words.VALUES_MAX, most, rule=rule)
        return (tuple(map(_canonical, texts)) if name == "values" else texts) or None
    if name == "false_positive":
        if not isinstance(value, bool):
            members.bad(rule, name, f"it is {_kind_of(value)}", "write true or false")
            return None
        return value
    if name in ("number", "count_min"):
        least, most = (1, pack_words.COUNT_MAX) if name == "count_min" else (-_NUMBER, _NUMBER)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            members.bad(rule, name, f"{_shown(value)} is none", f"write a whole number, {least} to {most}")
            return None
        return value
    words = _MATCH_WORDS.get(name)
    is_good = isinstance(value, str) and (
        value in words
        if words is not None
        else _DUTY.fullmatch(value) is not None
        if name == "duty"
        else is_word(value)
        if name in ("incident_type", "task_type")
        else 1 <= len(value) <= pack_words.NAME_CHARACTERS_MAX
    )
    if not is_good:
        what = _MATCH_WHAT.get(name) or f"one of {', '.join(words or ())}"
        members.bad(rule, name, f"{_shown(value)} is none", f"write {what}")
        return None
    return str(value)


def _canonical(value: str) -> str:
    """Returns a value as acts state it, so that both can be compared; what nobody recognises stays as it is."""
    try:
        return recognise(refang(value.strip())).observable.value
    except InvalidValue:
        return value


_NUMBER = pack_words.NUMBER_MAX
_MATCH_WORDS: Mapping[str, tuple[str, ...]] = {
    "tlp_max": pack_words.TLP_WORDS,
    "status": OWN_STATUSES,
    "determination": DETERMINATIONS,
}
_MATCH_WHAT: Mapping[str, str] = {
    "choice": "the choice as the text offers it",
    "duty": "a template, nis2, or one of its reports, nis2:early",
    "incident_type": "a word as incidents have it: lower-case letters, digits and - & . _ + :",
    "task_type": "a word as tasks have it: lower-case letters, digits and - & . _ + :",
}


def _check_whole(pack: ExercisePack, problems: Problems) -> None:
    """Note what no member by itself shows to be wrong."""
    places = {place.id: place for place in pack.places}
    objectives = {one.id for one in pack.objectives}
    if pack.places and not any(place.role == "white" for place in pack.places):
        problems.add("format", "player", "no place has the role white", "somebody must lead the exercise")
    if pack.places and not any(place.role in ("blue", "red") for place in pack.places):
        problems.add("format", "player", "no place has the role blue or red", "somebody must play")
    expected = sum(_looks(one) for inject in pack.injects for one in inject.expect)
    if expected > pack_words.EXPECTED_MAX:
        problems.add(
            "too-many",
            "inject",
            f"there are {expected} expectations, each counted with its values and words",
            f"have at most {pack_words.EXPECTED_MAX}",
        )
    before = 0
    seen: set[str] = set()
    for inject in pack.injects:
        where = f"inject {inject.number}"
        if inject.at_seconds < before:
            problems.add(
                "time-backwards",
                f"{where}: at",
                "it comes before the inject above it",
                "order injects by time, and number them so",
            )
        before = max(before, inject.at_seconds)
        if pack.duration_seconds and inject.at_seconds >= pack.duration_seconds:
            problems.add(
                "after-end", f"{where}: at", "the exercise has ended by then", "move it, or make it longer"
            )
        _check_places(inject.to, places, f"{where}: to", problems)
        if inject.objective and inject.objective not in objectives:
            problems.add(
                "unknown-objective",
                f"{where}: objective",
                f"no objective is {clip(inject.objective)!r}",
                _known("objectives are", objectives),
            )
        for position, one in enumerate(inject.expect, 1):
            place = f"{where}, expect {position}" + (f" ({one.id})" if one.id else "")
            if one.id and one.id in seen:
                problems.add("id-twice", f"{place}: id", "another expectation has it", "give each its own")
            seen.add(one.id)
            if one.by != inject.to:  # what is wrong with those was told above
                _check_places(one.by, places, f"{place}: by", problems)
            others = [by for by in one.by if by in places and by not in inject.to]
            if others:
                problems.add(
                    "not-addressed",
                    f"{place}: by",
                    f"the inject is not for {', '.join(others[:4])}",
                    "name the place in `to`, or leave it out of `by`",
                )
            to = one.match.get("to")
            if isinstance(to, tuple):
                _check_places(to, places, f"{place}: match", problems)


def _looks(one: PackExpectation) -> int:
    """Returns how much an expectation costs who scores it."""
    return 1 + sum(
        len(value) for name in ("values", "words") if isinstance(value := one.match.get(name), tuple)
    )


def _check_places(
    named: tuple[str, ...], places: Mapping[str, PackPlace], where: str, problems: Problems
) -> None:
    for one in named:
        if one not in places:
            problems.add(
                "unknown-player", where, f"no place is called {clip(one)!r}", _known("places are", places)
            )


def _known(what: str, names: Collection[str]) -> str:
    return f"{what} {', '.join(sorted(names)[:16]) or 'none'}"


def _kind_of(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (str, "a text"),
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number with a point"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a date or nothing")


def _shown(value: object) -> str:
    return repr(clip(value)) if isinstance(value, str) else _kind_of(value)
