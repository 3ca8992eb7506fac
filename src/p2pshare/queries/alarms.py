"""Alarms: faults that somebody should act upon now. Each has a word that stays, names a partner and says what to do.

======================  =========================================================================not-let-in              the server of a partner does not let us in, though we have knocked
reading-waits           envelopes wait to be read until there is more room on the disk
expired-unread          envelopes of an author expired before they were read
clock-jumped            this node's clock was set within the hour
keys-not-renewed        the keys on our card end, and nothing has renewed them in time
own-card-newer          partners have a newer version of our card than this home
introduction-suspended  a partner that was introduced is introduced by nobody any more
member-list-fork        a partner signed two member lists of one number
member-list-refused     the newest member list that an introducer gave out was refused
======================  ================================================================================
=======
====================  ==============================================================================
not-let-in            the server of a partner does not let us in, though we have knocked
reading-waits         envelopes wait to be read until there is more room on the disk
expired-unread        envelopes of an author expired before they were read
marking-broken        a partner handed others' envelopes on that are stricter than TLP:GREEN
clock-jumped          this node's clock was set within the hour
keys-not-renewed      the keys on our card end, and nothing has renewed them in time
own-card-newer        partners have a newer version of our card than this home
invitation-used       somebody came by an invitation by which another had joined, or tried too often
====================  =====================================================================================

Lateness alone is no alarm: each waits for the time that its limit names. Each word has a function of its own, and
`ALARMS` lists them; a room above this one adds its functions, and the caller hands in the whole list.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import UNSET, Struct, UnsetType

from p2pshare.envelope.card import Card, fingerprint
from p2pshare.identifiers import PartnerId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.knowledge.interface import ObjectFork
from p2pshare.limits import (
    CLOCK_DOUBT_SECONDS,
    EXPIRED_UNREAD_ALARM_SECONDS,
    GAP_ALARM_SECONDS,
    GAPS_SHOWN_MAX,
    KEYS_ALARM_SECONDS,
    MIB,
    NO_EXCHANGE_ALARM_SECONDS,
    NOT_LET_IN_ALARM_SECONDS,
    OPERATIONAL_OVERLAP_SECONDS,
    PAGES_ALARM_SECONDS,
    READING_SPACE_BYTES_MIN,
    RHYTHM_ENVELOPES_MAX,
    RHYTHM_ENVELOPES_MIN,
    RHYTHM_FACTOR,
    RHYTHM_SECONDS_MIN,
    USED_TWICE_ALARM_SECONDS,
)
from p2pshare.log.interface import SequenceFork
from p2pshare.node.store import StoreReading
from p2pshare.partners.interface import NOT_ACCEPTED_YET, OTHER_CERTIFICATE, REMOVED_BY_PARTNER
from p2pshare.policy.quota import nearly_full
from p2pshare.sharing.forwarded_reader import FORWARDED_MARKING
from p2pshare.sharing.own_card import ends_of
from p2pshare.sharing.partners import contested_certificates


class Alarm(Struct, frozen=True, forbid_unknown_fields=True):
    """An alarm. `since` None where that is not known; the fields behind `hint` are set for the words that use them."""

    word: str
    partner: str
    partner_id: str
    since: str | None
    message: str
    hint: str
    missing: int | UnsetType = UNSET
    ranges: list[tuple[int, int, int]] | UnsetType = UNSET
    """(incarnation, first, last) of numbers that are missing."""
    count: int | UnsetType = UNSET
    envelopes: list[str] | UnsetType = UNSET
    objects: list[str] | UnsetType = UNSET
    bytes: int | UnsetType = UNSET
    circle: str | UnsetType = UNSET
    space: str | UnsetType = UNSET


Fork = TypeVar("Fork", SequenceFork, ObjectFork)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that an alarm's function looks at. `names` are those of partners, present or past; `now` is unix seconds."""

    store: StoreReading
    own_card: Card
    names: Mapping[PartnerId, str]
    is_running: bool
    """Whether a daemon runs here."""
    now: int

    @property
    def own_id(self) -> PartnerId:
        return self.own_card.partner_id


AlarmFunction = Callable[[Situation], Iterator[Alarm]]


def rhythm_breaks_at(created: Sequence[int]) -> int | None:
    """Returns until when (unix seconds) an author with these instants of creation may be silent as usual; None without a
    usual.

    Usual is the longest pause among its last RHYTHM_ENVELOPES_MAX envelopes, and RHYTHM_FACTOR times that is not.
    """
    if len(created) < RHYTHM_ENVELOPES_MIN:
        return None
    instants = sorted(created)
    longest = max(later - earlier for earlier, later in itertools.pairwise(instants))
    return instants[-1] + max(RHYTHM_FACTOR * longest, RHYTHM_SECONDS_MIN)


def alarm_about(
    word: str,
    partner_id: PartnerId,
    names: Mapping[PartnerId, str],
    since: int | None,
    message: str,
    hint: str,
    **more: Any,
) -> Alarm:
    """Returns the alarm. `{name}` in message and hint is the partner; `since` 0 or None when that is not known; `more` is
    what the word adds."""
    name = names.get(partner_id) or partner_id.short
    return Alarm(
        word=word,
        partner=name,
        partner_id=partner_id.text,
        since=format_instant(since * SECOND_US) if since else None,
        message=message.replace("{name}", name),
        hint=hint.replace("{name}", name),
        **more,
    )


def _gaps(seen: Situation) -> Iterator[Alarm]:
    for total in seen.store.log.gap_totals():
        if seen.now - total.noted_at < GAP_ALARM_SECONDS:
            continue
        ranges = seen.store.log.sequence_gaps(total.author, GAPS_SHOWN_MAX)
        message = f"{total.numbers} of the envelopes that {{name}} sealed for us never came:"
        hint = "a relay may withhold them: link with {name} directly, or ask {name} to publish them again"
        if total.author == seen.own_id:
            message = f"{total.numbers} of the envelopes that this node sealed are not here:"
            hint = "the store was put back from a backup: they come home from partners that hold them; link with more of them"
        more = "" if sum(last - first + 1 for _, first, last in ranges) == total.numbers else ", ..."
        yield alarm_about(
            "sequence-gap",
            total.author,
            seen.names,
            total.noted_at,
            f"{message} {_numbers(ranges)}{more}",
            hint,
            missing=total.numbers,
            ranges=ranges,
        )


def _numbers(ranges: Sequence[tuple[int, int, int]]) -> str:
    """Returns (incarnation, first, last) in words, an incarnation after the other."""
    by_incarnation: dict[int, list[str]] = {}
    for incarnation, first, last in ranges:
        by_incarnation.setdefault(incarnation, []).append(
            str(first) if first == last else f"{first} to {last}"
        )
    return "; ".join(
        f"number {', '.join(numbers)} of incarnation {incarnation}"
        for incarnation, numbers in by_incarnation.items()
    )


def _no_exchange(seen: Situation) -> Iterator[Alarm]:
    heard, doors = seen.store.partners.last_exchanges(), seen.store.partners.closed_doors()
    for row in seen.store.partners.all():
        since = max(heard.get(row.partner_id, 0), row.added_at)
        if not row.has_link or seen.now - since < NO_EXCHANGE_ALARM_SECONDS:
            continue
        if row.partner_id in doors:  # `not-let-in` says more
            continue
        has_met = row.partner_id in heard
        yield alarm_about(
            "no-exchange",
            row.partner_id,
            {row.partner_id: row.alias},
            since,
            f"no exchange with {{name}} since {format_instant(since * SECOND_US)}"
            + ("" if has_met else ", when it was added"),
            "ask {name} whether its daemon runs and has added you; `p2pshare status` shows what our side sees"
            if seen.is_running
            else "no daemon runs here: start it with `p2pshare run`",
        )


NOT_LET_IN = {
    NOT_ACCEPTED_YET: (
        "{name} does not accept this node's certificate, and never did",
        "ask {name} to run `p2pshare partner pending`, which shows this node there, and to accept it by its fingerprint; or to add its"
        " card, which `p2pshare card export FILE` writes",
    ),
    REMOVED_BY_PARTNER: (
        "{name} does not accept this node's certificate any more",
        "ask {name} whether it removed this node, or has not taken its newest card: `p2pshare card export FILE` writes it",
    ),
    OTHER_CERTIFICATE: (
        "at the address of {name} another certificate is shown than its card names, and no newer card of it was to be had there",
        "ask {name} for its newest card and address; somebody else may answer there",
    ),
}
"""What the reason of a closed door means, and what to do about it."""


def _not_let_in(seen: Situation) -> Iterator[Alarm]:
    """Partners whose doors stay closed, though we have knocked: a changed certificate would have been taken by then."""
    doors = seen.store.partners.closed_doors()
    for row in seen.store.partners.all():
        door = doors.get(row.partner_id)
        if door is None or not row.has_link or seen.now - door.since < NOT_LET_IN_ALARM_SECONDS:
            continue
        message, hint = NOT_LET_IN[door.reason]
        knocked = f"; knocked {format_instant(door.knocked_at * SECOND_US)}" if door.knocked_at else ""
        yield alarm_about(
            "not-let-in",
            row.partner_id,
            {row.partner_id: row.alias},
            door.since,
            f"{message} since {format_instant(door.since * SECOND_US)}{knocked}",
            hint,
        )


def _invitations_used(seen: Situation) -> Iterator[Alarm]:
    """Invitations of ours whose line somebody has read for whom it was not."""
    for one in seen.store.invitations.given_out():
        if one.later is not None and one.guest is not None:
            more = f" ({one.later_count} times)" if one.later_count > 1 else ""
            about, since = one.later, one.later_at
            message = (
                f"after {fingerprint(one.guest.partner_id)}, which is {one.state.value}, somebody else came by the invitation of"
                f" '{one.name}'{more}: {fingerprint(one.later)}"
            )
            hint = (
                f"one of the two read a line that was not for it: compare fingerprints with '{one.name}' by telephone. If the second is the"
                f" stranger: `p2pshare partner refuse {one.later.short}` ends this alarm. If the first is: `partner refuse` or `partner remove`"
                " it, and invite anew, which ends the alarm as well"
            )
        elif one.is_worn_out:
            about, since = seen.own_id, one.created
            message = (
                f"the invitation of '{one.name}' was begun {one.begun} times, and nobody has joined by it"
            )
            hint = (
                f"somebody who has the line tries it out, or the connection breaks each time: ask '{one.name}', and invite anew by"
                " another way, which ends this alarm"
            )
        else:
            continue
        yield alarm_about("invitation-used", about, {about: one.name}, since, message, hint)


def _silent_authors(seen: Situation) -> Iterator[Alarm]:
    for author, created in seen.store.log.newest_created(
        [row.partner_id for row in seen.store.partners.all()], RHYTHM_ENVELOPES_MAX
    ).items():
        breaks_at = rhythm_breaks_at(created)
        if breaks_at is not None and seen.now > breaks_at:
            yield alarm_about(
                "author-silent",
                author,
                seen.names,
                max(created),
                f"nothing new by {{name}} since {format_instant(max(created) * SECOND_US)}, longer than usual",
                "ask {name} whether it still publishes; if it does, somebody keeps it from you",
            )


def _of_each_author(forks: Sequence[Fork]) -> dict[PartnerId, list[Fork]]:
    by_author: dict[PartnerId, list[Fork]] = {}
    for fork in forks:
        by_author.setdefault(fork.author, []).append(fork)
    return by_author


def _sequence_forks(seen: Situation) -> Iterator[Alarm]:
    for author, forks in _of_each_author(seen.store.log.sequence_forks()).items():
        first = forks[0]
        hint = "`p2pshare doctor proof {name} FILE` writes the proof; call {name}: its keys may be stolen, or used twice"
        if author == seen.own_id:
            hint = "somebody else publishes with this node's keys: stop any copy of it; else they are stolen"
        yield alarm_about(
            "sequence-fork",
            author,
            seen.names,
            first.noted_at,
            f"{{name}} signed two different envelopes under incarnation {first.incarnation},"
            f" sequence {first.sequence}{_and_more(forks)}",
            hint,
            count=len(forks),
            envelopes=[first.first.text, first.second.text],
        )


COPY = "stop the copy: one home runs once, and a second node is made with `p2pshare init`. Is there none? Then its keys are stolen"


def _used_twice(seen: Situation) -> Iterator[Alarm]:
    proofs = {
        one.author: (
            one.since,
            f"its chain goes on in two branches, the last time both {format_instant(one.until * SECOND_US)}",
            (one.first, one.second),
        )
        for one in seen.store.log.used_twice()
        if seen.now - one.until < USED_TWICE_ALARM_SECONDS
    }
    ours = [fork for fork in seen.store.log.sequence_forks() if fork.author == seen.own_id]
    if ours:
        first = ours[0]
        what = f"they used one number of its chain{_and_more(ours)}"
        proofs.setdefault(seen.own_id, (first.noted_at, what, (first.first, first.second)))
    for author, (since, what, envelopes) in proofs.items():
        yield alarm_about(
            "identity-used-twice",
            author,
            seen.names,
            since,
            f"two nodes publish as {{name}}: {what}",
            COPY
            if author == seen.own_id
            else "call {name}: a copy of its home runs beside it; else its keys are stolen",
            envelopes=[one.text for one in envelopes],
        )


def _object_forks(seen: Situation) -> Iterator[Alarm]:
    for author, forks in _of_each_author(seen.store.knowledge.object_forks()).items():
        yield alarm_about(
            "object-fork",
            author,
            seen.names,
            forks[0].noted_at,
            f"{{name}} sent two contents of one version of {clip(forks[0].object_id)}{_and_more(forks)}",
            "both are kept and the stricter marking holds; tell {name} to raise 'modified' when it changes an object",
            count=len(forks),
            objects=[clip(fork.object_id) for fork in forks[:GAPS_SHOWN_MAX]],
        )


def _card_forks(seen: Situation) -> Iterator[Alarm]:
    for fork in seen.store.partners.card_forks():
        yield alarm_about(
            "card-fork",
            fork.partner_id,
            seen.names,
            fork.noted_at,
            "{name} signed two different cards of one version: it is frozen, nothing new of it is believed",
            "`p2pshare doctor proof {name} FILE` writes the proof; call {name}: its root keys may be stolen. Where it made both, as after a"
            " restore, `p2pshare partner unfreeze {name} FILE` takes the card that it goes on with",
        )


def _suspended(seen: Situation) -> Iterator[Alarm]:
    for row in seen.store.partners.all():
        if row.suspended:
            yield alarm_about(
                "introduction-suspended",
                row.partner_id,
                seen.names,
                row.suspended_at,
                f"nobody introduces {{name}} any more ({row.suspended}): nothing is sealed for it or taken in from it, its claims stay",
                "compare its fingerprint (`p2pshare partner confirm {name}`), or remove it (`p2pshare partner remove {name}`)",
            )


def _list_forks(seen: Situation) -> Iterator[Alarm]:
    for fork in seen.store.introductions.forks():
        yield alarm_about(
            "member-list-fork",
            fork.introducer,
            seen.names,
            fork.noted_at,
            f"{{name}} signed two member lists of number {fork.number}: the first one counts, both are kept",
            "call {name}: its sign key may be stolen, or its home copied",
            circle=fork.circle.text,
        )


def _refused_lists(seen: Situation) -> Iterator[Alarm]:
    for held in seen.store.introductions.lists():
        if held.trouble:
            yield alarm_about(
                "member-list-refused",
                held.introducer,
                seen.names,
                held.trouble_at,
                f"the newest member list that {{name}} gave out was refused: {held.trouble}; the one before holds until it expires",
                "ask {name}: an older list than before may be a home that was set back, or somebody between you",
                circle=held.circle.text,
            )


def _certificates(seen: Situation) -> Iterator[Alarm]:
    for one, other in contested_certificates(seen.store):
        yield alarm_about(
            "certificate-conflict",
            one,
            seen.names,
            None,
            f"{{name}} and {seen.names.get(other) or other.short} have one TLS certificate: it lets neither in",
            "call both, and have whoever does not own it issue a card with one of its own",
        )


def _missing_pages(seen: Situation) -> Iterator[Alarm]:
    """Revoked keys of which pages did not come: somebody may withhold them."""
    for row in seen.store.notices.missing_pages():
        is_due = row.noted_at + PAGES_ALARM_SECONDS <= seen.now
        if row.author != seen.own_id and is_due and seen.store.log.carries_key(row.author, row.key_id):
            yield alarm_about(
                "vouch-pages-missing",
                row.author,
                seen.names,
                row.noted_at,
                "{name} revoked a key, and its list of what it stands for has not come: what it sealed before with that key leaves"
                " after a day, what is new of it is refused",
                "`p2pshare doctor topology` shows by how few partners you hear of {name}; ask it whether it vouched for anything",
            )


def _quotas(seen: Situation) -> Iterator[Alarm]:
    quota = seen.store.log.quota_bytes()
    for author, circle, size in nearly_full(quota, seen.store.log.costs()):  # never less than what is carried
        if author != seen.own_id:
            yield alarm_about(
                "quota",
                author,
                seen.names,
                None,
                f"envelopes of {{name}} take up {size // MIB} of the {quota // MIB} MiB that one author may fill here",
                "ask {name} what it publishes; if it is right, raise limits.author_mib: beyond it they are refused, or "
                "carried and not read",
                bytes=size,
                circle=circle.text,
            )


def _reading_waits(seen: Situation) -> Iterator[Alarm]:
    unread = seen.store.log.counts().unread
    if unread and seen.store.database.lacks_space(READING_SPACE_BYTES_MIN):
        floor = seen.store.database.free_space_bytes_min
        yield alarm_about(
            "reading-waits",
            seen.own_id,
            seen.names,
            None,
            f"{unread} envelopes wait to be read: less than {(floor + READING_SPACE_BYTES_MIN) // MIB} MiB are free on the disk",
            "free some space: they are carried meanwhile, but what they say counts only once it is read",
            count=unread,
        )


def _expired_unread(seen: Situation) -> Iterator[Alarm]:
    for one in seen.store.log.expired_unread():
        if seen.now - one.last_at < EXPIRED_UNREAD_ALARM_SECONDS:
            yield alarm_about(
                "expired-unread",
                one.author,
                seen.names,
                one.first_at,
                f"{one.envelopes} envelopes of {{name}} expired before they were read here,"
                f" the last {format_instant(one.last_at * SECOND_US)}",
                "ask {name} to publish again what still holds, and see why reading waited (`p2pshare status`, the log)",
                count=one.envelopes,
            )


def _marking_broken(seen: Situation) -> Iterator[Alarm]:
    """Partners who handed on what is stricter than GREEN: they can read it, and others shall not."""
    for partner, count in seen.store.partners.refused_for(FORWARDED_MARKING).items():
        yield alarm_about(
            "marking-broken",
            partner,
            seen.names,
            None,
            f"{{name}} handed {count} envelopes of others on to us that are marked stricter than TLP:GREEN; none of it was read",
            "call {name}: its program does not keep to markings, and it may have handed them on to others",
            count=count,
        )


def _clock_jumped(seen: Situation) -> Iterator[Alarm]:
    jump = seen.store.log.clock_jump()
    if jump is None or not 0 <= seen.now - jump[0] < CLOCK_DOUBT_SECONDS:
        return
    at, seconds = jump
    where = "ahead" if seconds > 0 else "back"
    yield alarm_about(
        "clock-jumped",
        seen.own_id,
        seen.names,
        at,
        f"the clock of this node jumped {where} by {abs(seconds)} s, to {format_instant(at * SECOND_US)}: nothing expires for an hour, or until partners confirm it",
        "compare it with a clock that is right, and keep it by NTP; where it was set right just now, or the machine slept, all is well",
    )


def _keys_not_renewed(seen: Situation) -> Iterator[Alarm]:
    ends = ends_of(seen.own_card)
    if seen.now < ends - KEYS_ALARM_SECONDS:
        return
    yield alarm_about(
        "keys-not-renewed",
        seen.own_id,
        seen.names,
        ends - OPERATIONAL_OVERLAP_SECONDS,
        f"the keys on our card {'ended' if seen.now >= ends else 'end'} at {format_instant(ends * SECOND_US)},"
        " and were not renewed: then partners refuse what {name} publishes",
        "`p2pshare card renew` does it or says what is missing; where root keys are kept elsewhere it writes the card for"
        " those who keep them to sign",
    )


def _own_card_newer(seen: Situation) -> Iterator[Alarm]:
    newest = seen.store.partners.own_card_elsewhere()
    if newest <= seen.own_card.version:
        return
    yield alarm_about(
        "own-card-newer",
        seen.own_id,
        seen.names,
        None,
        f"partners have version {newest} of our card, and this home has {seen.own_card.version}: it was set back to an older backup,"
        " and no card can be issued here, for partners would take it for a fork",
        "`p2pshare card renew --over-newer` shows their card, and goes on from it with new keys once you know it is yours; or put the newest"
        f" backup of this home back, in which version {newest} is",
    )


def _and_more(forks: Sequence[object]) -> str:
    return f", and {len(forks) - 1} more" if len(forks) > 1 else ""


ALARMS: tuple[AlarmFunction, ...] = (
    _gaps,
    _no_exchange,
    _not_let_in,
    _silent_authors,
    _sequence_forks,
    _used_twice,
    _object_forks,
    _card_forks,
    _suspended,
    _list_forks,
    _refused_lists,
    _certificates,
    _missing_pages,
    _quotas,
    _reading_waits,
    _expired_unread,
    _marking_broken,
    _clock_jumped,
    _keys_not_renewed,
    _own_card_newer,
    _invitations_used,
)
"""The alarms of this room, in the order in which they are reported."""


def alarms(
    store: StoreReading,
    own_card: Card,
    *,
    is_running: bool,
    now: int,
    functions: Sequence[AlarmFunction] = ALARMS,
) -> list[Alarm]:
    """Returns every alarm of `functions`, grouped by word in their order, then in the order of names."""
    names = store.partners.names() | {row.partner_id: row.alias for row in store.partners.all()}
    seen = Situation(store, own_card, names, is_running, now)
    found = [alarm for function in functions for alarm in function(seen)]
    order = {word: number for number, word in enumerate(dict.fromkeys(alarm.word for alarm in found))}
    return sorted(found, key=lambda alarm: (order[alarm.word], alarm.partner))
