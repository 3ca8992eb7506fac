"""Lookup: claims about a value, by whom, and whether it counts now. Analysts see every marking they hold.

Values come as people write them (defanged, upper case, a hash, an address); each is canonicalised with the same code as
those that were published, so the same thing is found under any spelling. The listed value may be wider than the one asked
for: the network around an address, the domain above a host, the host of a URL (`knowledge.coverage`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from msgspec import Struct

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import Derivation
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.knowledge.coverage import Cover, covers_of
from p2pshare.knowledge.decay import steps_for
from p2pshare.knowledge.effective_state import ClaimState, EffectiveStatus, evaluate, evaluate_claim
from p2pshare.knowledge.interface import ClaimRow, Quarantine, SightingRow, Withdrawal
from p2pshare.knowledge.sources import Lineage, Stem, is_entangled, sources_of
from p2pshare.node.store import StoreReading

LOOKUP_BATCH_VALUES = 1_000  # values asked of the store at once: bounds memory, amortises the query

_WORDS = {int(status): status.name.lower() for status in EffectiveStatus}

# Claims that came together share their times.
_instant = lru_cache(maxsize=4_096)(format_instant)
_hexadecimal = lru_cache(maxsize=1_024)(bytes.hex)


class WithdrawalReason(Struct, frozen=True, forbid_unknown_fields=True):
    """The reason why an object was withdrawn, and the id of the object that stands in its place."""

    reason: str
    replaced_by: str | None


class StatedOrigin(Struct, frozen=True, forbid_unknown_fields=True):
    """An object that another one says it stems from, and its author."""

    author: str
    author_id: str
    object_id: str


class QuarantineMark(Struct, frozen=True, forbid_unknown_fields=True):
    """A list that keeps an observable from counting here, with the words for it and since when."""

    source: str
    reason: str
    since: str | None


class SeenBy(Struct, frozen=True, forbid_unknown_fields=True):
    """An organisation's word on an observable; only that of the `trusted` counts."""

    by: str
    count: int
    last_seen: str | None
    not_seen_at: str | None
    false_positive: bool
    trusted: bool
    introduced_by: list[str] = []
    """Who introduced it; empty where a person compared its fingerprint, and for ourselves."""


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """Something listed that covers the value (`match` says how), and what it counts for over all claims held."""

    match: str
    type: str
    value: str
    status: str
    reason: str | None
    score: int | None
    tlp: str
    pap: str | None
    sighted_at: str | None
    authors: int
    sources: int
    """How many independent statements stand behind it; who repeats another is none."""
    quarantine: list[QuarantineMark]
    sightings: list[SeenBy]


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """One author's current statement about what is `listed`, and whether it counts."""

    author: str
    author_id: str
    object_id: str
    match: str
    listed: str
    status: str
    reason: str | None
    tlp: str
    pap: str | None
    confidence: int | None
    labels: tuple[str, ...]
    valid_from: str | None
    valid_until: str | None
    is_revoked: bool
    withdrawal: WithdrawalReason | None
    received_at: str | None
    source: str
    """The author as whose statement it counts."""
    derived_from: list[StatedOrigin]
    public_source: str | None
    possible_echo: list[str]
    """Others that say the same value in an object of the same id, where this one does not say that it stems from theirs."""
    introduced_by: list[str] = []
    """Who introduced the author; empty where a person compared its fingerprint, and for ourselves."""


class LookedUp(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of one value. `matches` stand closest first; the first active one speaks for all, else the
    closest. A text that is no value of a known type has type None, and the `reason` why."""

    value: str
    type: str | None
    found: bool
    active: bool
    status: str | None
    reason: str | None
    score: int | None
    sources: int | None
    authors: list[str]
    matches: list[Match]
    claims: list[Claim]


@dataclass(frozen=True)
class _Known:
    """Rows of the store about a batch: claims, quarantine and what organisations say they saw by listed observable, what
    was taken back by (author, object), and the authors' names."""

    claims: Mapping[Observable, Sequence[ClaimRow]]
    quarantined: Mapping[Observable, Sequence[Quarantine]]
    seen: Mapping[Observable, Sequence[SightingRow]]
    withdrawn: Mapping[tuple[PartnerId, str], Withdrawal]
    names: Mapping[PartnerId, str]
    voices: Mapping[int, int]
    """By author that is no voice of its own, whose it is; each the number that its id is."""
    introduced: Mapping[PartnerId, list[str]]
    """Who introduced each author that nobody here has compared."""


def look_up(store: StoreReading, values: Sequence[str], now: int) -> list[LookedUp]:
    """Returns one answer a value, in order. `now` in unix seconds."""
    names = store.partners.names()
    voices = {
        int.from_bytes(one): int.from_bytes(voice) for one, voice in store.introductions.voices().items()
    }
    introduced = introducers_of(store)
    lengths = store.knowledge.network_lengths()
    answers: list[LookedUp] = []
    for start in range(0, len(values), LOOKUP_BATCH_VALUES):
        batch = values[start : start + LOOKUP_BATCH_VALUES]
        recognised = [value_or_reason(text) for text in batch]
        covers = [[] if isinstance(one, str) else covers_of(one, lengths) for one in recognised]
        claims = store.knowledge.lookup({cover.observable for wanted in covers for cover in wanted})
        quarantined = store.knowledge.quarantined(
            [one for one, of_one in claims.items() if of_one[0].is_quarantined]
        )
        seen = store.knowledge.sightings(claims.keys())
        withdrawn = _withdrawn(store, claims.values())
        known = _Known(claims, quarantined, seen, withdrawn, names, voices, introduced)
        for text, one, wanted in zip(batch, recognised, covers, strict=True):
            if isinstance(one, str):
                answers.append(_answer(text, None, [], [], one))
            else:
                answers.append(_answer_of(one, wanted, known, now))
    return answers


def introducers_of(store: StoreReading) -> dict[PartnerId, list[str]]:
    """Returns, of each partner whose fingerprint nobody here has compared, our names of those who introduced it."""
    return {row.partner_id: list(row.introduced_by) for row in store.partners.all() if not row.is_compared}


def _withdrawn(
    store: StoreReading, found: Iterable[Sequence[ClaimRow]]
) -> dict[tuple[PartnerId, str], Withdrawal]:
    """Returns why the withdrawn ones among these claims were taken back; `revoked` in an object itself says no reason."""
    revoked = {claim.object_id for claims in found for claim in claims if claim.is_revoked}
    return {
        (author, object_id): withdrawal
        for object_id in revoked
        for author, withdrawal in store.knowledge.withdrawals(object_id).items()
    }


def value_or_reason(text: str) -> Observable | str:
    """Returns the observable, or the reason why the text is none."""
    try:
        return detect(text)
    except AuthorError as error:
        return error.reason


def _answer(
    value: str, type_: str | None, matches: list[Match], claims: list[Claim], reason: str | None = None
) -> LookedUp:
    speaker = next((one for one in matches if one.status == "active"), matches[0] if matches else None)
    return LookedUp(
        value=value,
        type=type_,
        found=bool(matches),
        active=speaker is not None and speaker.status == "active",
        status=speaker.status if speaker else None,
        reason=speaker.reason if speaker else reason,
        score=speaker.score if speaker else None,
        sources=speaker.sources if speaker else None,
        authors=sorted({one.author for one in claims}),
        matches=matches,
        claims=claims,
    )


def _answer_of(observable: Observable, covers: Sequence[Cover], known: _Known, now: int) -> LookedUp:
    matches: list[Match] = []
    said: list[Claim] = []
    for cover in covers:
        claims = known.claims.get(cover.observable)
        if claims:
            states = [_state_of(claim, known, number) for number, claim in enumerate(claims)]
            sources = _Sources(claims, states, known.voices) if is_entangled(states, known.voices) else None
            match = _match(cover, claims, states, sources, known, now)
            matches.append(match)
            if (
                len(claims) == 1 and not match.quarantine
            ):  # nearly every one: what it counts for is its claim's
                said.append(_claim(claims[0], match.status, match.reason, cover, known))
                continue
            for number, (claim, state) in enumerate(zip(claims, states, strict=True)):
                evaluated = evaluate_claim(state, steps_for(cover.observable.type), now, claim.sighted_at)
                word = _WORDS[evaluated.status]
                if sources is None:
                    said.append(_claim(claim, word, evaluated.reason, cover, known))
                else:
                    source, others = sources.found[number], _same_ids(claim, claims)
                    said.append(_claim(claim, word, evaluated.reason, cover, known, source, others))
    return _answer(observable.value, observable.type, matches, said)


class _Sources:
    """Tells, as `evaluate` asks it, as whose statement each claim about one value counts; the answer is kept."""

    def __init__(
        self, claims: Sequence[ClaimRow], states: Sequence[ClaimState], voices: Mapping[int, int]
    ) -> None:
        stems = {
            number: Stem(
                tuple((int.from_bytes(it.author), it.object_id) for it in claim.derivation.origins),
                claim.derivation.public_source,
            )
            for number, claim in enumerate(claims)
            if claim.derivation is not None
        }
        self._lineage = Lineage(stems, {state.author: state.author for state in states}, voices)
        self.found: Sequence[int] = ()

    def __call__(self, claims: Sequence[ClaimState], decisive: Sequence[ClaimState]) -> Sequence[int]:
        self.found = sources_of(claims, decisive, self._lineage)
        return self.found


def _same_ids(claim: ClaimRow, claims: Sequence[ClaimRow]) -> list[PartnerId]:
    """Returns the other authors of its id among these claims about one value, where it does not say that it stems from theirs."""
    if claim.derivation is not None and claim.derivation.origins:
        return []
    return sorted(
        {one.author for one in claims if one.object_id == claim.object_id and one.author != claim.author}
    )


def _match(
    cover: Cover,
    claims: Sequence[ClaimRow],
    states: Sequence[ClaimState],
    sources: _Sources | None,
    known: _Known,
    now: int,
) -> Match:
    """Returns the listed observable and what it counts for over all claims held, evaluated like the views
    (`knowledge.effective_state`)."""
    quarantined = known.quarantined.get(cover.observable, ())
    state = evaluate(
        states,
        steps_for(cover.observable.type),
        now,
        sighted_at=claims[0].sighted_at,
        quarantined=quarantined[0].source if quarantined else None,
        sources_of=sources,
    )
    return Match(
        match=cover.match,
        type=cover.observable.type,
        value=cover.observable.value,
        status=_WORDS[state.status],
        reason=state.reason,
        score=state.score,
        tlp=Tlp(state.tlp or 0).label,
        pap=_pap_label(state.pap),
        sighted_at=_second(claims[0].sighted_at),
        authors=state.authors,
        sources=state.sources,
        quarantine=[QuarantineMark(one.source, one.reason, _second(one.noted_at)) for one in quarantined],
        sightings=[_seen_by(one, known) for one in known.seen.get(cover.observable, ())],
    )


def _seen_by(seen: SightingRow, known: _Known) -> SeenBy:
    return SeenBy(
        by=known.names.get(seen.reporter) or seen.reporter.text,
        count=seen.count,
        last_seen=_second(seen.last_seen),
        not_seen_at=_second(seen.not_seen_at),
        false_positive=seen.is_false_positive,
        trusted=seen.is_trusted,
        introduced_by=known.introduced.get(seen.reporter, []),
    )


def _state_of(claim: ClaimRow, known: _Known, number: int) -> ClaimState:
    """Returns the claim as `evaluate` takes it; its derivation has the claim's number."""
    withdrawal = known.withdrawn.get((claim.author, claim.object_id)) if claim.is_revoked else None
    return ClaimState(
        author=int.from_bytes(claim.author),
        is_withdrawn=claim.is_revoked,
        tlp=claim.tlp.value,
        pap=claim.pap,
        confidence=claim.confidence,
        from_us=claim.valid_from_us or 0,
        until_us=claim.valid_until_us,
        sealed_at=claim.sealed_at,
        received_at=claim.received_at,
        is_replaced=withdrawal is not None and withdrawal.replaced_by is not None,
        object_key=claim.object_id,
        derivation=None if claim.derivation is None else number,
        is_fallen=claim.is_fallen,
    )


def _pap_label(pap: int | None) -> str | None:
    return None if pap is None else Pap(pap).label


def _second(instant: int | None) -> str | None:
    return None if instant is None else _instant(instant * SECOND_US)


def _claim(
    claim: ClaimRow,
    status: str,
    reason: str | None,
    cover: Cover,
    known: _Known,
    source: int | None = None,
    same_ids: Sequence[PartnerId] = (),
) -> Claim:
    """`source`: the author as whose statement it counts, as a number; None: its own."""
    author, names = claim.author, known.names
    counted_as = author if source is None else PartnerId(source.to_bytes(PartnerId.length))
    withdrawal = known.withdrawn.get((claim.author, claim.object_id)) if claim.is_revoked else None
    return Claim(
        author=names.get(author) or author.text,
        author_id=_hexadecimal(author),
        object_id=claim.object_id,
        match=cover.match,
        listed=cover.observable.value,
        status=status,
        reason=reason,
        tlp=claim.tlp.label,
        pap=_pap_label(claim.pap),
        confidence=claim.confidence,
        labels=claim.labels,
        valid_from=_instant(claim.valid_from_us),
        valid_until=_instant(claim.valid_until_us),
        is_revoked=claim.is_revoked,
        withdrawal=reason_of(withdrawal),
        received_at=_second(claim.received_at),
        source=names.get(counted_as) or counted_as.text,
        derived_from=[] if claim.derivation is None else origins_named(claim.derivation, names),
        public_source=None if claim.derivation is None else claim.derivation.public_source,
        possible_echo=[names.get(one) or one.text for one in same_ids],
        introduced_by=known.introduced.get(author, []),
    )


def origins_named(derivation: Derivation, names: Mapping[PartnerId, str]) -> list[StatedOrigin]:
    """Returns the objects that one says it stems from, with the names of their authors."""
    return [
        StatedOrigin(names.get(one.author) or one.author.text, one.author.text, one.object_id)
        for one in derivation.origins
    ]


def reason_of(withdrawal: Withdrawal | None) -> WithdrawalReason | None:
    """Returns why an object was withdrawn; None for `revoked` in the object itself, which says no reason."""
    return None if withdrawal is None else WithdrawalReason(withdrawal.reason.value, withdrawal.replaced_by)
