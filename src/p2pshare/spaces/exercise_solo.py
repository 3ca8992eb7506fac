"""An exercise that one person plays alone: the entries of the real thing, unsigned and in memory, for the same fold and the same scoring.

Whoever plays is a throw-away id, the lead among them, and all entries stand in one chain, so each has the inject that it answers in its past. A second of
the entries' clock is a second of the exercise, whatever the speed at which somebody watches; the lead's stamp follows each act at once.
Equal scripts so give equal entries. Nothing of it is kept or sent: the ids have no keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from p2pshare.envelope.entry import BODY_SALT_BYTES, NO_SPACE, EntryHeader, encode_header, entry_id_of
from p2pshare.identifiers import EntryId, KeyId, PartnerId, Realm
from p2pshare.intel.exercise_pack import (
    SALT_BYTES,
    ExercisePack,
    PackInject,
    archive_pack,
    pack_leaves,
)
from p2pshare.intel.exercise_record import ExerciseRecord
from p2pshare.intel.exercise_script import ExerciseScript, ScriptAct, ScriptRating, player_of
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable, recognise, refang
from p2pshare.spaces.acts import PLAIN, RULES, Inviting, Opening
from p2pshare.spaces.exercise_entries import (
    DETAIL_BYTES_MAX,
    AttestedAct,
    ExerciseInject,
    ExerciseObject,
    ExerciseObservation,
    ExerciseSighting,
    ExerciseStamp,
    ExerciseStart,
    ExerciseWithdrawal,
    InjectAck,
    InjectAnswer,
    cut,
    encode_exercise,
    released_inject,
    stated_pack,
)
from p2pshare.spaces.exercise_telling import record_of
from p2pshare.spaces.fold import SpaceFold, SpaceState
from p2pshare.spaces.vertex import SpaceEntry

STARTED = 1_800_000_000  # unix seconds: any time does, and one alone gives equal entries
LEAD = "Exercise control"
_REALM = Realm(hashlib.sha256(b"p2pshare: an exercise that is played alone").digest()[: Realm.length])
_TITLE = "Solo"


def _id_of(name: str) -> PartnerId:
    return PartnerId(hashlib.sha256(b"p2pshare: plays alone: " + name.encode()).digest()[: PartnerId.length])


class SoloExercise:
    """One exercise. `places`: place -> names of who plays there; `evaluators`: who rates."""

    def __init__(
        self,
        pack: ExercisePack,
        payloads: Mapping[str, bytes],
        places: Mapping[str, Sequence[str]],
        evaluators: Sequence[str] = (),
    ) -> None:
        self.pack = pack
        self.payloads = payloads
        self.places = {place: tuple(names) for place, names in places.items()}
        self.clock = 0
        """Exercise seconds."""
        self.released = 0
        """How many injects are."""
        self._fold = SpaceFold()
        self._heads: tuple[EntryId, ...] = ()
        self._space: EntryId = NO_SPACE
        self._numbers: dict[PartnerId, int] = {}
        self._written = 0
        self._incident_type = ""
        """Of the incident that was opened last: who joins or closes one means that."""
        self.names: dict[PartnerId, str] = {}
        self._lead = self._member(LEAD)
        roles = {self._member(name): place for place, names in self.places.items() for name in names}
        roles |= {
            self._member(name): "white" for name in dict.fromkeys(evaluators) if self._id(name) not in roles
        }
        self._salts = [
            hashlib.sha256(b"salt %d" % inject.number).digest()[:SALT_BYTES] for inject in pack.injects
        ]
        self._space = self._write(
            self._lead, "open", Opening(RULES, "exercise", _TITLE, ((self._lead, "white"),)).encode()
        )
        self._write(self._lead, "invite", Inviting(tuple(sorted(roles.items()))).encode())
        for member in sorted(roles):
            self._write(member, "join", PLAIN.encode())
        archive = archive_pack(pack, payloads, self._salts)
        leaves = pack_leaves(pack, payloads, self._salts)
        self._write(self._lead, "pack", encode_exercise(stated_pack(pack, archive, leaves)))
        self._write(self._lead, "start", encode_exercise(ExerciseStart(1)))

    def _id(self, name: str) -> PartnerId:
        return _id_of(name)

    def _member(self, name: str) -> PartnerId:
        member = _id_of(name)
        self.names[member] = name
        return member

    # --- what happens ----------------------------------------------------------------------------------

    def advance(self, to: int) -> list[PackInject]:
        """Let the clock go on to `to` exercise seconds; returns what was released on the way, each at its time."""
        released = []
        while self.released < len(self.pack.injects):
            inject = self.pack.injects[self.released]
            if inject.at_seconds > to:
                break
            self.clock = max(self.clock, inject.at_seconds)
            payload = self.payloads[inject.payload] if inject.payload else b""
            said: ExerciseInject = released_inject(inject, self._salts[self.released], payload)
            self._write(self._lead, "inject", encode_exercise(said))
            self.released += 1
            released.append(inject)
        self.clock = max(self.clock, to)
        return released

    def act(self, act: ScriptAct) -> None:
        """Do what a player does, at the act's time, and have the lead stamp it. The act is of a script that was read, or checked as one.

        Raises InvalidValue for a value that is none, LookupError for an inject that is not released.
        """
        self.advance(act.seconds)
        author = _id_of(player_of(act.by, self.places, "by"))
        if act.inject is not None and act.inject > self.released:
            raise LookupError(act.inject)
        match act.action:
            case "acknowledge":
                body: bytes = encode_exercise(InjectAck(act.inject or 0))
                self._stamp(self._write(author, "inject-ack", body))
            case "answer":
                body = encode_exercise(InjectAnswer(act.inject or 0, act.choice or "", act.text or ""))
                self._stamp(self._write(author, "answer", body))
            case "sight":
                count, is_false = act.count or 1, int(bool(act.false_positive))
                said = [
                    ExerciseSighting(one.type, one.value, count, is_false, ())
                    for one in observables(act.values or ())
                ]
                self._stamp(*(self._write(author, "sighting", encode_exercise(one)) for one in said))
            case "publish":
                values = _stated(act.values or ())
                stix = repr(values).encode()
                tlp = Tlp.parse(act.tlp or "amber")
                object_ = ExerciseObject(
                    values, self._to(act), int(tlp), hashlib.sha256(stix).digest(), len(stix)
                )
                self._stamp(self._write(author, "object", encode_exercise(object_)))
            case "withdraw":
                withdrawal = ExerciseWithdrawal(_stated(act.values or ()), "")
                self._stamp(self._write(author, "withdrawal", encode_exercise(withdrawal)))
            case _:
                self._attest(author, act)

    def rate(self, rating: ScriptRating, at: int) -> None:
        """Have an evaluator say something. It counts whenever it is said."""
        self.clock = max(self.clock, at)
        number = next(
            (
                inject.number
                for inject in self.pack.injects
                for one in inject.expect
                if one.id == rating.expectation
            ),
            0,
        )
        about = (_id_of(player_of(rating.about, self.places, "about")),) if rating.about else ()
        observation = ExerciseObservation(
            number, rating.expectation, rating.objective, about, rating.rating, rating.text, "", (), 0
        )
        self._write(_id_of(rating.by), "observation", encode_exercise(observation))

    def end(self, at: int) -> None:
        """End it at `at` exercise seconds."""
        self.advance(at)
        self._write(self._lead, "end", PLAIN.encode())

    def state(self) -> SpaceState:
        """Returns what holds now."""
        return self._fold.state()

    def record(self) -> ExerciseRecord:
        """Returns the exercise as it is told, with all that was expected: who plays alone plays for nobody else."""
        return record_of(self.state(), self.names, STARTED + self.clock)

    # --- entries ---------------------------------------------------------------------------------------

    def _attest(self, author: PartnerId, act: ScriptAct) -> None:
        """Have the lead say what a player did in an incident. The entry there is one that nobody holds, with an id of its own."""
        if act.action == "incident-open":
            self._incident_type = act.incident_type or ""
        detail = act.incident_type or act.task_type or act.text or act.status or act.determination or act.duty
        if act.action in ("incident-join", "incident-close") and not detail:
            detail = self._incident_type
        self._written += 1
        there = EntryId(hashlib.sha256(b"elsewhere %d" % self._written).digest()[: EntryId.length])
        said = AttestedAct(
            there,
            author,
            act.action,
            cut(detail or "", DETAIL_BYTES_MAX),
            self._to(act),
            STARTED + self.clock,
        )
        self._write(self._lead, "stamp", encode_exercise(ExerciseStamp((), (said,))))

    def _stamp(self, *entries: EntryId) -> None:
        self._write(self._lead, "stamp", encode_exercise(ExerciseStamp(tuple(sorted(entries)), ())))

    def _to(self, act: ScriptAct) -> tuple[PartnerId, ...]:
        named = {_id_of(name) for one in act.to or () for name in self.places.get(one, (one,))}
        return tuple(sorted(named))

    def _write(self, author: PartnerId, kind: str, content: bytes) -> EntryId:
        self._written += 1
        number = self._numbers[author] = self._numbers.get(author, 0) + 1
        body = self._written.to_bytes(BODY_SALT_BYTES, "big") + content
        header = EntryHeader(
            realm=_REALM,
            space=self._space,
            author=author,
            key_id=KeyId(bytes(KeyId.length)),
            number=number,
            parents=self._heads,
            depth=len(self._fold) + 1,
            created=STARTED + self.clock,
            kind=kind,
            tlp=int(Tlp.AMBER),
            audience=(),
            body_digest=hashlib.sha384(body).digest(),
            body_bytes=len(body),
        )
        entry_id = entry_id_of(encode_header(header))
        self._fold.add(SpaceEntry(entry_id, header, content))
        self._heads = (entry_id,)
        return entry_id


def play_script(pack: ExercisePack, payloads: Mapping[str, bytes], script: ExerciseScript) -> SoloExercise:
    """Returns an exercise that was played by a script, at its end. Raises as `SoloExercise.act`."""
    solo = SoloExercise(pack, payloads, script.places, [rating.by for rating in script.ratings])
    for act in script.acts:
        solo.act(act)
    solo.end(script.ended)
    for rating in script.ratings:
        solo.rate(rating, script.ended)
    return solo


def observables(values: Sequence[str]) -> list[Observable]:
    """Returns the canonical observables of values as people write them, each once. Raises InvalidValue."""
    return list(dict.fromkeys(recognise(refang(value.strip())).observable for value in values))


def _stated(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((one.type, one.value) for one in observables(values)))
