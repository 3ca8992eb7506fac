"""The outlet of an exercise's ground: what is published, seen and withdrawn in it becomes entries `object`, `sighting` and `withdrawal`.

Rules:

1. Markings and names are asked as for real publications (`policy.audience`), of the exercise's members that are partners: nobody else can be named.
2. A value counts that somebody said in the exercise, in an inject or an object; of any other nothing can be said, as on real ground.
3. Values stand in the entry itself, at most `STATED_VALUES_MAX` of them in one; the STIX travels as parts before it, for those who are meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.limits import FRAME_BYTES_MAX, MIB
from p2pshare.node.node import Node, gate_settings
from p2pshare.partners.roster import Roster
from p2pshare.policy.audience import Audience, Refuse, resolve
from p2pshare.sharing.outlet import Played
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.publishing import PreparedPart
from p2pshare.spaces.exercise import ENDED, ExerciseFold
from p2pshare.spaces.exercise_entries import (
    READERS,
    STATED_VALUES_MAX,
    ExerciseBody,
    ExerciseObject,
    ExerciseSighting,
    ExerciseWithdrawal,
    encode_exercise,
)
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.writing import SpaceStatement

PLAYED_BYTES_MAX = 1 * MIB  # of the STIX of one part: as much as an inject's payload has
_PLAYS = frozenset({"joined", "invited", "forked"})


class ExerciseOutlet:
    """The outlet of one exercise's node (`sharing.outlet.Outlet`)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def audience(self, tlp: Tlp, names: Sequence[str], now: int) -> Audience | Refuse:
        return resolve(tlp, names, self._players(), gate_settings(self._node.config), now)

    def publish(self, parts: Iterable[PreparedPart], names: Sequence[str], now: int) -> Played:
        self._require_not_ended(now)
        played = Played()
        for part in parts:
            audience = self.audience(part.tlp, names, now)
            if isinstance(audience, Refuse):
                raise RefusedError(audience.message, hint=audience.hint, reason=audience.reason)
            to = tuple(sorted(entry.partner_id for entry in audience.recipients)) if names else ()
            self._publish(part, to, now, played)
            played.recipients = sorted({*played.recipients, *(one.alias for one in audience.recipients)})
        return played

    def _publish(self, part: PreparedPart, to: tuple[PartnerId, ...], now: int, played: Played) -> None:
        values = sorted(
            {
                (claim.type, claim.value)
                for frame in part.frames
                for fact in frame.objects
                for claim in fact.claims
            }
        )
        if not values:
            raise AuthorError(
                "in an exercise values are published, and nothing in this has one",
                hint="publish an indicator, an observable or a list of values",
                reason="no-values",
            )
        stix = _together(part)
        if len(stix) > PLAYED_BYTES_MAX:
            raise AuthorError(
                f"in an exercise at most {PLAYED_BYTES_MAX:,} bytes are published at once",
                hint="publish less",
                reason="oversized",
            )
        node, level = self._node, max(int(part.tlp), self._tlp())
        own = node.identity.partner_id
        readers = tuple(sorted({own, *to})) if to else ()
        for _ in exchange_of(node).saying_whole(self._exercise(), stix, level, now, readers):
            pass
        digest = hashlib.sha256(stix).digest()
        for start in range(0, len(values), STATED_VALUES_MAX):
            some = tuple(values[start : start + STATED_VALUES_MAX])
            body = ExerciseObject(some, to, int(part.tlp), digest, len(stix))
            played.entries.append(self._say("object", body, now, level))
        played.values += values
        played.markings.append(part.tlp)

    def sight(
        self, what: str, *, count: int, is_false_positive: bool, names: Sequence[str], now: int
    ) -> Played:
        if not count and not is_false_positive:
            raise AuthorError(
                "in an exercise a sighting tells what was seen",
                hint="--count 1, or more",
                reason="bad-argument",
            )
        self._require_not_ended(now)
        type_, value = self._value(what)
        if not self._is_said((type_, value)):
            raise _unknown_value()
        to, told = self._named(names, now)
        body = ExerciseSighting(type_, value, max(count, 1), int(is_false_positive), to)
        return Played([self._say("sighting", body, now)], [(type_, value)], told, [Tlp(self._tlp())])

    def withdraw(self, what: str, reason: str, *, is_dry_run: bool, now: int) -> Played:
        self._require_not_ended(now)
        value = self._value(what)
        if not self._is_said(value):
            raise _unknown_value()
        if value not in self._own_values():
            raise RefusedError(
                "we have not published this in the exercise, or took it back before",
                hint="its author takes it back",
                reason="not-ours",
            )
        _, told = self._named((), now)
        played = Played([], [value], told, [Tlp(self._tlp())])
        if not is_dry_run:
            played.entries.append(self._say("withdrawal", ExerciseWithdrawal((value,), reason), now))
        return played

    # --- parts -------------------------------------------------------------------------------------

    def _exercise(self) -> EntryId:
        exercise = self._node.ground.exercise
        if exercise is None:
            raise NotFoundError(
                "the opening of this exercise is not here yet",
                hint="join it: `p2pshare exercise join`",
                reason="unknown-exercise",
            )
        return exercise

    def _require_not_ended(self, now: int) -> None:
        if self._fold().phase_at(now) == ENDED:
            raise RefusedError(
                "this exercise has ended: nothing is played in it any more",
                hint="what is real is said without --exercise",
                reason="wrong-phase",
            )

    def _state(self) -> SpaceState:
        return spaces_of(self._node).state(self._exercise())

    def _fold(self) -> ExerciseFold:
        fold = self._state().kind
        assert isinstance(fold, ExerciseFold)
        return fold

    def _tlp(self) -> int:
        return spaces_of(self._node).fold_of(self._exercise()).graph.opening.header.tlp

    def _players(self) -> Roster:
        """Returns the partners that are members; entries reach them by others where there is no link."""
        members, roster = self._state().members, load_roster(self._node)
        entries = [replace(one, has_link=True) for one in roster if members.get(one.partner_id) in _PLAYS]
        return Roster.of(roster.own_id, entries, self._node.config.groups)

    def _named(self, names: Sequence[str], now: int) -> tuple[tuple[PartnerId, ...], list[str]]:
        """Returns the members of these names, () for all, and what they are called. Raises RefusedError."""
        found = resolve(Tlp.GREEN, names, self._players(), gate_settings(self._node.config), now)
        if isinstance(found, Refuse):
            raise RefusedError(found.message, hint=found.hint, reason=found.reason)
        told = sorted(one.alias for one in found.recipients)
        return (tuple(sorted(one.partner_id for one in found.recipients)) if names else ()), told

    def _value(self, what: str) -> tuple[str, str]:
        if is_id(what):
            raise AuthorError(
                "in an exercise things are said of values", hint="give the value", reason="bad-argument"
            )
        observable = detect(what)
        return observable.type, observable.value

    def _is_said(self, value: tuple[str, str]) -> bool:
        """Returns whether somebody said a value in the exercise: in an object that stands, in what an inject says, or in its payload."""
        fold, text = self._fold(), value[1].casefold()
        if value in fold.values():
            return True
        for held in fold.injects():
            if held.fits and text in held.said.jcs.decode("utf-8", "replace").casefold():
                return True
            if held.fits and held.said.payload_sha256 and text in self._payload(held.said.payload_sha256):
                return True
        return False

    def _payload(self, digest: bytes) -> str:
        with suppress(NotFoundError):
            return (
                exchange_of(self._node).whole(self._exercise(), digest).decode("utf-8", "replace").casefold()
            )
        return ""  # parts of it are not here yet

    def _own_values(self) -> set[tuple[str, str]]:
        """Returns the values that we published in the exercise and did not take back since."""
        own, found = self._node.identity.partner_id, set[tuple[str, str]]()
        for vertex in self._state().timeline:
            if vertex.author != own or vertex.content is None or vertex.kind not in ("object", "withdrawal"):
                continue
            try:
                said = READERS[vertex.kind](vertex.content)
            except PeerError:
                continue
            if isinstance(said, ExerciseObject):
                found |= set(said.values)
            elif isinstance(said, ExerciseWithdrawal):
                found -= set(said.values)
        return found

    def _say(self, kind: str, body: ExerciseBody, now: int, tlp: int | None = None) -> EntryId:
        level = self._tlp() if tlp is None else tlp
        said = SpaceStatement(kind, encode_exercise(body), level)
        return spaces_of(self._node).say(self._exercise(), said, now)[-1].entry_id


def _together(part: PreparedPart) -> bytes:
    """Returns the objects of a part as one JSON array: each frame holds one."""
    arrays = [inflate_frame(one.frame, budget_bytes=FRAME_BYTES_MAX).strip() for one in part.frames]
    inside = [array[1:-1].strip() for array in arrays]
    return b"[" + b",".join(one for one in inside if one) + b"]"


def _unknown_value() -> NotFoundError:
    return NotFoundError(
        "nobody has said this in the exercise",
        hint="`p2pshare exercise inbox` has what was said; publish it, if you know it to be bad",
    )
