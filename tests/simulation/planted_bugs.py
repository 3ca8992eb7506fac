"""Bugs to be planted into the running product, each a mistake that somebody could make one day.

A bug is a function that patches; the product has no switch for it. With each stands where it must be found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from p2pshare.daemon import intake_queue
from p2pshare.database import database
from p2pshare.envelope.envelope import SealedEnvelope
from p2pshare.envelope.verification import VerifiedEnvelope
from p2pshare.gossip import (
    arrivals,
    engine,
    events,
    fetching,
    index,
    intake_schedule,
    link,
    push,
    reconciliation,
    responder,
    scheduler,
    want,
)
from p2pshare.gossip.messages import PutVerdict
from p2pshare.identifiers import PartnerId
from p2pshare.knowledge import withdrawals
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS
from p2pshare.log import envelope_log, sequences
from p2pshare.log.interface import NewEnvelope
from p2pshare.partners.partners import Partners
from p2pshare.policy.admission import Admit
from p2pshare.sharing import exchange, intake

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class PlantedBug:
    """`plant` patches; one of `found_by` must speak against it within a few seeds of `scenario`."""

    plant: Callable[[Patch], None]
    scenario: str
    found_by: tuple[str, ...]
    first_seed: int = 0
    """Where runs are dear, the first seed that is known to find it."""


class Everything:
    """A collection that contains whatever is asked for."""

    def __contains__(self, one: object) -> bool:
        return True


def no_new_incarnation(patch: Patch) -> None:
    """After a restore an author goes on with the numbers it had."""
    real = sequences.begin_incarnation

    def begin_incarnation(connection: Any, now: int, revoked: Any) -> int:
        return sequences.own_chain(connection).incarnation or real(connection, now, revoked)

    patch.setattr(sequences, "begin_incarnation", begin_incarnation)


def counts_on_as_before(patch: Patch) -> None:
    """Where the clock is behind, the next incarnation follows the one before: after a restore it is one that was used."""
    patch.setattr(sequences, "INCARNATION_DRAW_SHARE", 10**9)


def acknowledged_before_commit(patch: Patch) -> None:
    """Bodies count as held when they came; they are written with the next ones."""
    real = exchange.Exchange.commit

    def commit(self: Any, bodies: Any, now: int, moment: Any = None) -> exchange.Outcome:
        late = self.__dict__.get("late", [])
        self.__dict__["late"] = list(bodies)
        outcome = real(self, late, now, moment)
        decided = tuple(
            events.BodyDecided(one.received_from, one.envelope_id, PutVerdict.HELD) for one in bodies
        )
        return exchange.Outcome(outcome.held, decided)

    patch.setattr(exchange.Exchange, "commit", commit)


def cursors_are_trusted(patch: Patch) -> None:
    """Nobody compares: what was announced is thought to have arrived."""
    patch.setattr(reconciliation.Reconciliation, "is_due", lambda self, one: False)
    patch.setattr(reconciliation.Reconciliation, "due", lambda self, one: link.NEVER)


def gate_left_open(patch: Patch) -> None:
    """The last check before a body leaves says yes to everything."""
    patch.setattr(exchange, "may_leave", lambda **_: True)


def circles_ignored_in_arrivals(patch: Patch) -> None:
    """What is new is announced to everybody."""
    real = arrivals.Arrivals.after
    patch.setattr(
        arrivals.Arrivals,
        "after",
        lambda self, lsn, peer, circles, limit: real(self, lsn, peer, Everything(), limit),
    )


def seen_before_verified(patch: Patch) -> None:
    """A forged copy makes an id known."""
    real, seen = intake._check, set()

    def check(batch: Any, arrival: Any, decoded: Any, is_seen: bool) -> Any:
        mark = (id(batch.node.store), decoded.envelope_id)
        verdict = real(batch, arrival, decoded, is_seen or mark in seen)
        if getattr(verdict, "reason", "") == "bad-signature":
            seen.add(mark)
        return verdict

    patch.setattr(intake, "_check", check)


def unanswered_fetch_is_never_over(patch: Patch) -> None:
    """When a peer falls silent, what it was asked for stays asked."""
    patch.setattr(want.WantTable, "drop_peer", lambda self, peer: [])


def unavailable_outlives_the_roster(patch: Patch) -> None:
    """What could not be verified is never asked for again, although its author is known now."""
    real = engine.Engine._configure

    def configure(self: Any, configs: Any) -> None:
        before = {peer: dict(one.unavailable) for peer, one in self._state.links.items()}
        real(self, configs)
        for peer, unavailable in before.items():
            if peer in self._state.links:
                self._state.links[peer].unavailable.update(unavailable)

    patch.setattr(engine.Engine, "_configure", configure)


def announced_before_commit(patch: Patch) -> None:
    """A body that came is told to others before intake has verified it."""
    real = fetching.Fetching.arrived

    def arrived(self: Any, one: Any, pending: Any, envelope_id: Any) -> None:
        entry = self._state.want.get(envelope_id)
        if entry is not None and entry.item.size:
            self._state.arrivals.append(
                arrivals.PollItem(self._state.arrivals.last_lsn, entry.item, {one.peer})
            )
            for other in self._state.carriers(entry.item.circle):
                other.announce_at = self._state.now
                other.cursor = min(other.cursor, self._state.arrivals.last_lsn - 1)
                self._state.touch(other)
        real(self, one, pending, envelope_id)

    patch.setattr(fetching.Fetching, "arrived", arrived)


def no_return_after_a_pause(patch: Patch) -> None:
    """Who answers 429 is never asked again."""
    real = engine.Engine._busy

    def busy(self: Any, one: Any, pending: Any, seconds: float) -> None:
        real(self, one, pending, seconds)
        one.resume_at = one.retry_at = link.NEVER

    patch.setattr(engine.Engine, "_busy", busy)


def expiry_by_arrival(patch: Patch) -> None:
    """An envelope's time begins when it comes, wherever it comes."""
    real = intake._check_believing_nothing

    def check(*arguments: Any) -> Any:
        row = real(*arguments)
        if isinstance(row, NewEnvelope):
            core = replace(row.core, created=row.received_at)
            row = replace(row, envelope=SealedEnvelope(row.envelope_id, core, row.wire))
        return row

    patch.setattr(intake, "_check_believing_nothing", check)


def direct_is_relayed(patch: Patch) -> None:
    """Direct envelopes travel like all others."""
    real = exchange.Exchange._held
    patch.setattr(
        exchange.Exchange,
        "_held",
        lambda self, entry, received_from: replace(real(self, entry, received_from), direct_to=None),
    )


def silence_is_punished(patch: Patch) -> None:
    """Who did not answer once is never dialled again."""

    def back_off(self: Any, now: float, random: Any) -> None:
        self.failures += 1
        self.retry_at = link.NEVER

    patch.setattr(link.Link, "back_off", back_off)
    patch.setattr(link.Link, "clear_back_off", lambda self, now: None)


def pairs_are_not_compared(patch: Patch) -> None:
    """Direct envelopes are pushed until they are acknowledged, and never looked at again."""
    patch.setattr(events.LinkConfig, "compared", property(lambda self: self.circles))


def every_shard_is_answered(patch: Patch) -> None:
    """Whoever asks for a circle gets its keys, whatever the link carries."""

    class Carried(frozenset[Any]):
        def __contains__(self, circle: object) -> bool:
            return True

    patch.setattr(events.LinkConfig, "compared", property(lambda self: Carried({*self.circles, self.pair})))


def repairs_are_not_offered(patch: Patch) -> None:
    """Who compares takes what it lacks and gives nothing."""
    patch.setattr(reconciliation.Reconciliation, "_offer", lambda self, one, session, shard, keys: None)


def unfinished_work_is_dropped(patch: Patch) -> None:
    """What is not done after one step is forgotten."""

    def step(self: Any) -> Any:
        if not self._jobs:
            return None
        job = self._jobs.popleft()
        job.advance()
        return job.peer

    patch.setattr(scheduler.Scheduler, "step", step)


def everybody_is_asked(patch: Patch) -> None:
    """Each announcer is asked for the body, also while another one sends it."""
    real = want.WantTable.add

    def add(self: Any, item: Any, peer: Any) -> bool:
        is_there = real(self, item, peer)
        if is_there:
            self._waiting.setdefault(peer, {})[item.envelope_id] = None
        return is_there

    patch.setattr(want.WantTable, "add", add)


def signatures_unchecked(patch: Patch) -> None:
    """Whatever has the right shape is believed."""
    patch.setattr(intake, "verify_envelope", lambda decoded, card, now, **_: VerifiedEnvelope(decoded, card))


def anything_is_admitted(patch: Patch) -> None:
    """Nobody asks whether the partner that hands this over may do so."""
    patch.setattr(intake, "admit", lambda **_: Admit())


def refusals_uncounted(patch: Patch) -> None:
    """What is refused leaves no trace in the accounts."""
    real = Partners.add_accounting

    def add_accounting(self: Any, verdicts: Iterable[tuple[Any, str, str]]) -> None:
        real(self, [one for one in verdicts if one[1] != "refused"])

    patch.setattr(Partners, "add_accounting", add_accounting)


def first_hop_never_noted(patch: Patch) -> None:
    """What partners say they hold is not written down: after a restart it is offered for ever."""
    patch.setattr(exchange.Exchange, "acknowledge", lambda self, peer, ids: None)


def equal_roots_compared_all_the_same(patch: Patch) -> None:
    """Two stores that are in sync send each other their ids, again and again."""

    def rest(self: Any, one: Any, *, is_found: bool) -> None:
        one.compare_at = self._state.now + 10.0

    patch.setattr(reconciliation.Reconciliation, "_rest", rest)


def first_come_first_served(patch: Patch) -> None:
    """Whoever hands over more is served more."""
    in_one_row = PartnerId(bytes(32))

    def put(self: Any, received_from: PartnerId, size: int, item: Any) -> None:
        one = intake_schedule.WaitingBody(received_from, size, item)
        self._waiting.setdefault(in_one_row, deque()).append(one)
        self._bytes[received_from] += size

    patch.setattr(intake_schedule.IntakeSchedule, "put", put)


def room_without_bounds(patch: Patch) -> None:
    """Bodies are read as fast as they come, however many wait."""
    patch.setattr(intake_schedule.IntakeSchedule, "has_room", lambda self, received_from: True)


def notices_are_not_handed_on(patch: Patch) -> None:
    """Who relays gives away its own card alone: two hops away no revocation is heard."""
    real = exchange.Exchange._notice

    def notice(self: Any, entry: Any, notice_id: Any) -> Any:
        one = self._node.store.notices.entry(notice_id)
        is_own = one is not None and one.author == self._node.identity.partner_id
        return real(self, entry, notice_id) if is_own else None

    patch.setattr(exchange.Exchange, "_notice", notice)


def what_a_card_lets_in_waits_for_the_next_comparison(patch: Patch) -> None:
    """What was refused before its author's card came is asked for again some time."""
    real = engine.Engine._configure

    def configure(self: Any, configs: Any) -> None:
        before = {peer: one.compare_at for peer, one in self._state.links.items()}
        real(self, configs)
        for peer, at in before.items():
            if peer in self._state.links:
                self._state.links[peer].compare_at = at

    patch.setattr(engine.Engine, "_configure", configure)


def what_shares_a_second_is_dropped_behind_a_page(patch: Patch) -> None:
    """The next page of keys begins behind the second of the last one, not behind its key."""
    real = envelope_log.EnvelopeReading.keys_after

    def keys_after(self: Any, circle: Any, ttl_class: int, after: bytes, limit: int) -> list[bytes]:
        if after:
            after = (int.from_bytes(after[:8], "big") + 1).to_bytes(8, "big")
        return real(self, circle, ttl_class, after, limit)

    patch.setattr(envelope_log.EnvelopeReading, "keys_after", keys_after)


def the_cursor_passes_what_did_not_fit(patch: Patch) -> None:
    """The first arrival that an announcement has no room for counts as told."""
    real = arrivals.Arrivals.after

    def after(self: Any, lsn: int, peer: Any, circles: Any, limit: int) -> arrivals.Stretch:
        stretch = real(self, lsn, peer, circles, limit)
        if len(stretch.items) == limit and stretch.to_lsn < self.last_lsn:
            one = self._items[self._place(stretch.to_lsn)]
            return replace(stretch, to_lsn=one.lsn)
        return stretch

    patch.setattr(arrivals.Arrivals, "after", after)


def a_wake_up_of_the_queue_is_lost(patch: Patch) -> None:
    """What comes while a commit is under way wakes nobody."""

    async def run(self: Any) -> None:
        while not self._is_closing:
            await self._work.wait()
            await self._commit()
            self._work.clear()

    patch.setattr(intake_queue.IntakeQueue, "run", run)


def a_failed_commit_is_answered_held(patch: Patch) -> None:
    """Whoever waits for a verdict hears that all is well, whatever the disk said."""

    def fail(self: Any, batch: Any, error: Any) -> None:
        for one in batch:
            body, done = one.item
            self._report_failure(body, error)
            done.set_result(events.BodyDecided(body.received_from, body.envelope_id, PutVerdict.HELD))

    patch.setattr(intake_queue.IntakeQueue, "_fail", fail)


def a_cut_session_acknowledges_all(patch: Patch) -> None:
    """What a comparison did not come to counts as held by the peer."""
    real = reconciliation.Reconciliation._learn

    def learn(self: Any, one: Any, session: Any, shard: Any, found: Any) -> Any:
        yield from real(self, one, session, shard, found)
        self._state.acknowledged(one, [each for each in session.awaited[shard] if each not in found.have])

    patch.setattr(reconciliation.Reconciliation, "_learn", learn)


def the_responder_cuts_by_its_own_clock(patch: Patch) -> None:
    """Who answers leaves out what has expired here, whatever hour the question names."""
    real = responder.Responder._answer

    def answer(self: Any, one: Any, message: Any) -> Any:
        return real(self, one, replace(message, clock=int(self._state.now)))

    patch.setattr(responder.Responder, "_answer", answer)


def keys_leave_the_index_early(patch: Patch) -> None:
    """A key goes when its envelope expires, and not an hour later."""
    real = index.Index.expire
    patch.setattr(index.Index, "expire", lambda self, now: real(self, now + EXPIRED_KEY_KEEP_SECONDS))


def deferred_is_lost_on_a_full_disk(patch: Patch) -> None:
    """What is due is taken out first, and then taken in."""

    def retry_deferred(node: Any, now: int, moment: Any = None) -> Any:
        log = node.store.log
        due = log.due_deferred(now, intake.DEFERRED_AT_ONCE, intake.INTAKE_LIMITS.batch_bytes)
        if not due:
            return []
        log.drop_deferred([one.envelope_id for one in due])
        waited = [intake.Arrival(one.wire, one.received_from) for one in due]
        return intake.take_in(node, waited, now, moment, were_deferred=True)

    patch.setattr(exchange, "retry_deferred", retry_deferred)


def one_acknowledgement_clears_all_first_hops(patch: Patch) -> None:
    """Whoever acknowledges one envelope is believed to have all."""
    real = envelope_log.EnvelopeLog.acknowledge

    def acknowledge(self: Any, envelope_id: Any, partner: Any) -> None:
        real(self, envelope_id, partner)
        with self._database.transaction(frees_space=True) as writer:
            writer.execute("UPDATE envelope SET awaits_first_hop = 0")

    patch.setattr(envelope_log.EnvelopeLog, "acknowledge", acknowledge)


def what_met_a_pause_is_not_sent_again(patch: Patch) -> None:
    """A push or an announcement that was answered 429 is forgotten."""
    patch.setattr(push.Push, "put_back", lambda self, one, pending: None)
    patch.setattr(push.Push, "catch_up", lambda self, one: None)


def a_restart_of_the_peer_is_no_reason_to_compare(patch: Patch) -> None:
    """Another epoch is noted, and that is all."""

    def note_epoch(self: Any, one: Any, hello: Any) -> None:
        one.epoch = hello.epoch
        if one.heard_epoch not in (None, hello.epoch):
            one.heard_epoch = None

    patch.setattr(engine.Engine, "_note_epoch", note_epoch)


def nothing_is_synced(patch: Patch) -> None:
    """A commit returns before the disk has it."""
    real = database.Database._transaction

    def transaction(self: Any, *, frees_space: bool, is_durable: bool) -> Any:
        return real(self, frees_space=frees_space, is_durable=False)

    patch.setattr(database.Database, "_transaction", transaction)


def a_withdrawal_is_read_and_ignored(patch: Patch) -> None:
    """What was taken back stays what it was."""
    patch.setattr(withdrawals, "apply", lambda connection, keys: ())


SCHEDULE_BUGS: tuple[Callable[[Patch], None], ...] = (
    first_come_first_served,
    room_without_bounds,
)

BUGS: Mapping[str, PlantedBug] = MappingProxyType(
    {
        one.plant.__name__: one
        for one in (
            PlantedBug(no_new_incarnation, "backups", ("no_honest_author_forks",)),
            PlantedBug(counts_on_as_before, "set-back-behind", ("no_honest_author_forks",)),
            PlantedBug(acknowledged_before_commit, "quiet", ("acknowledged_is_durable",)),
            PlantedBug(cursors_are_trusted, "partitions", ("all_is_everywhere",)),
            PlantedBug(gate_left_open, "byzantine-curious", ("nothing_leaks",)),
            PlantedBug(circles_ignored_in_arrivals, "circles", ("nothing_leaks",)),
            PlantedBug(seen_before_verified, "byzantine-corrupt-bodies", ("all_is_everywhere",)),
            PlantedBug(unanswered_fetch_is_never_over, "loss", ("all_is_everywhere",)),
            PlantedBug(notices_are_not_handed_on, "cards", ("newest_cards_are_everywhere",)),
            PlantedBug(
                what_a_card_lets_in_waits_for_the_next_comparison,
                "cards",
                ("newest_cards_are_everywhere", "all_is_everywhere"),
            ),
            PlantedBug(unavailable_outlives_the_roster, "strangers", ("all_is_everywhere",)),
            PlantedBug(announced_before_commit, "quiet", ("only_held_is_announced",)),
            PlantedBug(no_return_after_a_pause, "storms", ("all_is_everywhere", "nobody_honest_is_shut_out")),
            PlantedBug(expiry_by_arrival, "expiry", ("only_verified_is_held",)),
            PlantedBug(direct_is_relayed, "circles", ("nothing_leaks",)),
            PlantedBug(silence_is_punished, "partitions", ("nobody_honest_is_shut_out",)),
            PlantedBug(pairs_are_not_compared, "backups", ("all_is_everywhere",)),
            PlantedBug(every_shard_is_answered, "byzantine-curious", ("nothing_leaks",)),
            PlantedBug(repairs_are_not_offered, "dial-out", ("all_is_everywhere",)),
            PlantedBug(unfinished_work_is_dropped, "partitions", ("all_is_everywhere",)),
            PlantedBug(everybody_is_asked, "full", ("bodies_are_not_wasted",)),
            PlantedBug(signatures_unchecked, "byzantine-corrupt-bodies", ("only_verified_is_held",)),
            PlantedBug(anything_is_admitted, "byzantine-smuggler", ("only_due_is_held",)),
            PlantedBug(refusals_uncounted, "byzantine-corrupt-bodies", ("all_is_accounted_for",)),
            PlantedBug(first_hop_never_noted, "quiet", ("deliveries_are_noted",)),
            PlantedBug(equal_roots_compared_all_the_same, "quiet", ("quiet_is_quiet",)),
            PlantedBug(first_come_first_served, "byzantine-body-flood", ("turns_are_kept",)),
            PlantedBug(room_without_bounds, "byzantine-body-flood", ("room_is_kept",)),
            PlantedBug(
                what_shares_a_second_is_dropped_behind_a_page,
                "archives",
                ("all_is_everywhere", "the_index_is_whole"),
                first_seed=1,
            ),
            PlantedBug(a_wake_up_of_the_queue_is_lost, "quiet", ("all_spreads_in_time",)),
            PlantedBug(a_failed_commit_is_answered_held, "disks-that-fill", ("acknowledged_is_durable",)),
            PlantedBug(
                a_cut_session_acknowledges_all, "archives", ("what_is_delivered_was_held",), first_seed=1
            ),
            PlantedBug(deferred_is_lost_on_a_full_disk, "deferred", ("all_is_everywhere",), first_seed=5),
            PlantedBug(one_acknowledgement_clears_all_first_hops, "quiet", ("what_is_delivered_was_held",)),
            PlantedBug(nothing_is_synced, "power", ("acknowledged_is_durable", "all_is_everywhere")),
            PlantedBug(a_withdrawal_is_read_and_ignored, "claims", ("claims_hold_as_published",)),
        )
    }
)

SEAM_BUGS: Mapping[str, Callable[[Patch], None]] = MappingProxyType(
    {
        "test_a_push_that_was_answered_429_leaves_again_after_the_pause": what_met_a_pause_is_not_sent_again,
        "test_an_announcement_that_was_answered_429_leaves_again_after_the_pause": what_met_a_pause_is_not_sent_again,
        "test_a_peer_that_has_restarted_is_compared_with_within_seconds": (
            a_restart_of_the_peer_is_no_reason_to_compare
        ),
        "test_who_answers_cuts_at_the_hour_of_the_question": the_responder_cuts_by_its_own_clock,
        "test_a_key_stays_in_the_index_for_an_hour_after_its_envelope_expired": keys_leave_the_index_early,
        "test_announcements_of_any_length_tell_each_arrival_once_and_in_order": (
            the_cursor_passes_what_did_not_fit
        ),
    }
)
"""Bugs that a world forgives, for a comparison mends it within seconds: by the test of tests/gossip/test_gossip_seams.py that
fails."""
