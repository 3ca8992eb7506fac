"""What players do in an exercise that is played alone, as a file (docs/exercise-packs.md, "Alone"): read strictly, written as it is read.

Equal scripts give equal scores; so a script has no clock but the exercise's own, and names players by where they sit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.display import clip, is_safe
from p2pshare.intel.exercise_manifest import duration_seconds
from p2pshare.intel.exercise_pack import NAME_CHARACTERS_MAX, SECONDS_MAX, ExercisePack
from p2pshare.intel.incident_words import DETERMINATIONS, OWN_STATUSES, is_word
from p2pshare.intel.json_text import is_shallow, without_bom
from p2pshare.limits import MIB

SCRIPT_BYTES_MAX = 4 * MIB  # ten thousand acts of four hundred bytes
ACTS_MAX = 10_000  # of one replay, each value that is sighted for itself: an entry and a stamp that the fold reads, some ten seconds of all
PLAYERS_MAX = 64  # of one replay: who plays alone plays three
VALUES_MAX = 64  # of one act
TEXT_CHARACTERS_MAX = 4_096  # of one act: a page
PLAYING_ROLES = ("blue", "red")
ACT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "acknowledge": ("inject",),
    "answer": ("inject", "text", "choice"),
    "sight": ("values", "count", "false_positive"),
    "publish": ("values", "to", "tlp"),
    "withdraw": ("values",),
    "incident-open": ("incident_type",),
    "incident-join": ("incident_type",),
    "incident-close": ("incident_type",),
    "note": ("text", "to"),
    "ask": ("text", "to"),
    "task-done": ("task_type",),
    "own-status": ("status",),
    "determine": ("determination",),
    "duty-done": ("duty",),
}
"""Action -> what it says. The first is needed, but of incidents and tasks, whose type may be left out; of an answer any other than `inject`."""
_OPTIONAL_FIRST = ("incident-open", "incident-join", "incident-close", "task-done")
CANNOT_BE_USED = "the file of actions cannot be used: "
_HINT = 'docs/exercise-packs.md, "Alone", says what the file has'
_DUTY = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}(?::[a-z0-9][a-z0-9.-]{0,31})?", re.ASCII)

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
_Lines = Annotated[tuple[_Line, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]


class ScriptAct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One act of a player. Times in exercise seconds."""

    at: int | str
    by: _Line
    action: str
    inject: Annotated[int, msgspec.Meta(ge=1)] | None = None
    text: _Text | None = None
    choice: _Line | None = None
    values: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000)] | None = None
    false_positive: bool | None = None
    to: _Lines | None = None
    tlp: Literal["clear", "green", "amber", "amber+strict", "red"] | None = None
    incident_type: _Line | None = None
    task_type: _Line | None = None
    status: Literal[OWN_STATUSES] | None = None  # type: ignore[valid-type]
    determination: Literal[DETERMINATIONS] | None = None  # type: ignore[valid-type]
    duty: _Line | None = None

    @property
    def seconds(self) -> int:
        """Returns its time; a script that was read has numbers alone."""
        return int(self.at)


class ScriptRating(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an evaluator says. `about`: a player, or "" for all."""

    by: _Line
    rating: Literal["P", "S", "M", "U"]
    about: Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS_MAX)] = ""
    expectation: Annotated[str, msgspec.Meta(max_length=64)] = ""
    objective: Annotated[str, msgspec.Meta(max_length=32)] = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS_MAX)] = ""


class _ScriptForm(msgspec.Struct, frozen=True):
    """The members that a script has; the result of a replay, which has others beside them, is one as well."""

    actions: Annotated[tuple[ScriptAct, ...], msgspec.Meta(max_length=ACTS_MAX)] = ()
    places: dict[str, tuple[_Line, ...]] | None = None
    ended: int | str | None = None
    ratings: Annotated[tuple[ScriptRating, ...], msgspec.Meta(max_length=ACTS_MAX)] = ()


class ExerciseScript(NamedTuple):
    """A whole script, checked against its pack. `places`: place -> who plays there."""

    ended: int
    places: Mapping[str, tuple[str, ...]]
    acts: tuple[ScriptAct, ...]
    ratings: tuple[ScriptRating, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns the script as its file has it."""
        return {
            "ended": self.ended,
            "places": {place: list(names) for place, names in self.places.items()},
            "actions": msgspec.to_builtins(self.acts),
            "ratings": msgspec.to_builtins(self.ratings),
        }


_decode = msgspec.json.Decoder(_ScriptForm).decode


def default_places(pack: ExercisePack) -> dict[str, tuple[str, ...]]:
    """Returns each place of blue and red with one player, called as the place."""
    return {place.id: (place.id,) for place in pack.places if place.role in PLAYING_ROLES}


def read_script(raw: bytes, pack: ExercisePack) -> ExerciseScript:
    """Returns the script of a file. Raises AuthorError `bad-script` with the first thing that is wrong, and its place."""
    if len(raw) > SCRIPT_BYTES_MAX:
        raise _bad(f"it is larger than {SCRIPT_BYTES_MAX} bytes")
    raw = without_bom(raw)
    if not is_shallow(raw):
        raise _bad("it nests too deep")
    try:
        form = _decode(raw)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _bad(clip(str(error), 200)) from None
    places = dict(form.places) if form.places is not None else default_places(pack)
    _check_places(places, pack)
    ended = (
        min(_seconds(form.ended, "ended"), pack.duration_seconds)
        if form.ended is not None
        else pack.duration_seconds
    )
    if sum(len(act.values or (0,)) for act in form.actions) > ACTS_MAX:
        raise _bad(f"actions: more than {ACTS_MAX} acts and values")
    acts = tuple(
        checked_act(act, f"actions/{number}", pack, places, ended) for number, act in enumerate(form.actions)
    )
    for number, rating in enumerate(form.ratings):
        _check_rating(rating, f"ratings/{number}", pack, places)
    return ExerciseScript(ended, places, tuple(sorted(acts, key=lambda act: act.seconds)), form.ratings)


def checked_act(
    act: ScriptAct, where: str, pack: ExercisePack, places: Mapping[str, tuple[str, ...]], ended: int
) -> ScriptAct:
    """Returns an act with its time in seconds. Raises AuthorError `bad-script` for one that cannot be done."""
    at = _seconds(act.at, f"{where}/at")
    if at > ended:
        raise _bad(f"{where}/at: the exercise has ended by then")
    player_of(act.by, places, f"{where}/by")
    fields = ACT_FIELDS.get(act.action)
    if fields is None:
        raise _bad(f"{where}/action: {clip(act.action)!r} is none of {', '.join(ACT_FIELDS)}")
    stated = {name for name in act.__struct_fields__[3:] if getattr(act, name) is not None}
    for name in sorted(stated - set(fields)):
        raise _bad(f"{where}/{name}: {act.action} has {', '.join(fields)}")
    if fields[0] not in stated and act.action not in _OPTIONAL_FIRST:
        raise _bad(f"{where}: {act.action} needs {fields[0]}")
    if act.action == "answer" and len(stated) != 2:
        raise _bad(f"{where}: an answer has a text or a choice")
    if act.inject is not None and act.inject > len(pack.injects):
        raise _bad(f"{where}/inject: the pack has {len(pack.injects)}")
    for word in (act.incident_type, act.task_type):
        if word is not None and not is_word(word):
            raise _bad(f"{where}: {clip(word)!r} is no word of lower-case letters, digits and - & . _ + :")
    if act.duty is not None and _DUTY.fullmatch(act.duty) is None:
        raise _bad(f"{where}/duty: {clip(act.duty)!r} is no duty, as nis2:early is one")
    for name in act.to or ():
        if name not in places:
            player_of(name, places, f"{where}/to")
    return msgspec.structs.replace(act, at=at)


def player_of(name: str, places: Mapping[str, tuple[str, ...]], where: str) -> str:
    """Returns the player of that name, or the only one at the place of that name. Raises AuthorError `bad-script`."""
    players = [player for names in places.values() for player in names]
    if name in players:
        return name
    at_place = places.get(name, ())
    if len(at_place) == 1:
        return at_place[0]
    raise _bad(f"{where}: nobody is called {clip(name)!r}; players are {', '.join(map(clip, players[:16]))}")


def _check_places(places: Mapping[str, tuple[str, ...]], pack: ExercisePack) -> None:
    names = [name for players in places.values() for name in players]
    if not names or len(names) > PLAYERS_MAX:
        raise _bad(f"places: it has one player to {PLAYERS_MAX}")
    for id_, players in places.items():
        place = pack.place(id_)
        if place is None or place.role not in PLAYING_ROLES:
            known = ", ".join(default_places(pack))
            raise _bad(f"places: nobody plays at {clip(id_)!r}; places are {known}")
        if len(players) > 1 and not place.many:
            raise _bad(f"places/{id_}: one partner takes it")
    for name in names:
        if names.count(name) > 1 or not is_safe(name) or not name.strip():
            raise _bad(f"places: {clip(name)!r} stands twice, or is no name")
        if name in places and name not in places[name]:
            raise _bad(f"places: {clip(name)!r} is a place, and the name of a player elsewhere")


def _check_rating(
    rating: ScriptRating, where: str, pack: ExercisePack, places: Mapping[str, tuple[str, ...]]
) -> None:
    if rating.about:
        player_of(rating.about, places, f"{where}/about")
    if rating.expectation and not any(
        one.id == rating.expectation for inject in pack.injects for one in inject.expect
    ):
        raise _bad(f"{where}/expectation: the pack has none called {clip(rating.expectation)!r}")
    if rating.objective and all(one.id != rating.objective for one in pack.objectives):
        raise _bad(f"{where}/objective: the pack has none called {clip(rating.objective)!r}")


def _seconds(value: int | str, where: str) -> int:
    found = value if isinstance(value, int) else duration_seconds(value)
    if found is None or not 0 <= found <= SECONDS_MAX:
        raise _bad(f"{where}: it is no exercise time: seconds, or PT20M")
    return found


def _bad(what: str) -> AuthorError:
    return AuthorError(CANNOT_BE_USED + what, hint=_HINT, reason="bad-script")
