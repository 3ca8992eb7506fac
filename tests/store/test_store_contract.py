"""What every store promises (log/interface.py, knowledge/interface.py, partners/interface.py). A second kind of store would run this very file."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from stored_envelopes import store_envelopes

from p2pshare.envelope.encoding import INTEGER_MAX
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.errors import StoreError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.log import sequences
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import drop_partner

ADDRESS = Observable("ipv4", "198.51.100.7")


def _partner(make, partner_id, alias="alpha", **more):
    values = {
        "card": b"card 1",
        "card_version": 1,
        "has_link": True,
        "circles": ("main", "other"),
        "is_frozen": False,
        "added_at": make.now,
    } | more
    return PartnerRow(partner_id, alias, **values)


def test_what_was_stored_is_read_back_as_received(store, make):
    envelope = make.envelope(make.indicator())
    (stored,) = store_envelopes(store, [envelope])
    assert stored.is_new
    assert store.log.wire(envelope.envelope_id) == envelope.wire
    assert store.log.entry(envelope.envelope_id) == stored.entry
    assert store.log.entries(0, 10) == [stored.entry]
    assert stored.entry.size == len(envelope.wire)
    assert not stored.entry.is_own
    (claim,) = store.knowledge.lookup([ADDRESS])[ADDRESS]
    assert claim.author == make.alpha
    assert claim.envelope_id == envelope.envelope_id
    assert claim.object_id == make.indicator()["id"]
    assert claim.valid_from_us == 1_767_225_600_000_000
    assert claim.tlp is Tlp.GREEN


def test_an_envelope_is_stored_once_in_the_batch_and_over_batches(store, make):
    envelope = make.envelope(make.indicator())
    first, again = store_envelopes(store, [envelope, envelope])
    (later,) = store_envelopes(store, [envelope])
    assert (first.is_new, again.is_new, later.is_new) == (True, False, False)
    assert first.entry == again.entry == later.entry
    assert len(store.knowledge.lookup([ADDRESS])[ADDRESS]) == 1
    assert store.log.counts().held == 1


def test_arrival_numbers_are_never_used_again(store, make):
    (first,) = store_envelopes(store, [make.envelope(opened=False, ttl_class=1)])
    store.log.expire(make.now + 90_000 + 3_600)
    assert store.log.entries(0, 10) == []
    (second,) = store_envelopes(store, [make.envelope(opened=False, sequence=2)])
    assert second.entry.lsn > first.entry.lsn
    assert store.log.last_lsn() == second.entry.lsn


def test_keys_are_in_order_and_hold_no_direct_envelope(store, make):
    envelopes = [make.envelope(sequence=n, created=make.now - n % 3, opened=False) for n in range(1, 9)]
    direct = make.envelope(sequence=20, mode=Mode.DIRECT, opened=False)
    elsewhere = make.envelope(sequence=21, ttl_class=5, opened=False)
    store_envelopes(store, [*envelopes, direct, elsewhere])
    expected = sorted((one.core.created, one.envelope_id) for one in envelopes)
    assert list(store.log.keys(make.main, 4)) == expected
    assert list(store.log.keys(CircleId.of("another"), 4)) == []
    paged, after = [], b""
    while page := store.log.keys_after(make.main, 4, after, 3):
        assert len(page) <= 3
        paged += page
        after = page[-1]
    assert paged == [created.to_bytes(8, "big") + one for created, one in expected]


def test_seen_ids_are_told_from_unseen_ones(store, make):
    envelope = make.envelope(opened=False)
    store_envelopes(store, [envelope])
    unknown = EnvelopeId(bytes(32))
    assert store.log.is_seen([envelope.envelope_id, unknown]) == {envelope.envelope_id}
    assert store.log.is_seen([]) == set()
    assert store.log.wire(unknown) is None
    assert store.log.entry(unknown) is None


def test_outbox_and_first_hop_wait_for_an_acknowledgement(store, make):
    state = store.log.author_state(make.now)
    own = {"author": make.ourselves, "received_from": None, "incarnation": state.incarnation}
    direct = make.envelope(
        sequence=1,
        mode=Mode.DIRECT,
        audience=(make.alpha, make.bravo),
        recipient_sequences={make.alpha: 1},
        **own,
    )
    relayed = make.envelope(sequence=2, awaits_first_hop=True, **own)
    first, second = store_envelopes(store, [direct, relayed])
    assert first.entry.is_own
    assert store.log.counts().pending == 2
    assert store.log.outbox(make.alpha) == store.log.outbox(make.bravo) == [first.entry]
    assert store.log.first_hops() == [second.entry]
    store.log.acknowledge(direct.envelope_id, make.alpha)
    store.log.acknowledge(direct.envelope_id, make.alpha)
    assert store.log.outbox(make.alpha) == []
    assert store.log.audience(direct.envelope_id) == {make.alpha: True, make.bravo: False}
    store.log.acknowledge(relayed.envelope_id, make.charlie)
    assert store.log.first_hops() == []
    drop_partner(store, make.bravo)
    assert store.log.counts().pending == 0


@pytest.mark.parametrize("is_out", [True, None])
def test_what_is_out_of_effect_is_in_no_answer_that_leaves(store, make, is_out):
    """Whatever asks: what goes to partners, what they are told of, what is counted and what is read; until it is back."""
    others = {"opened": False, "awaits_first_hop": True}
    envelopes = [
        make.envelope(sequence=1, **others),
        make.envelope(sequence=2, mode=Mode.DIRECT, **others),
        make.envelope(
            sequence=3, author=make.ourselves, received_from=make.alpha, mode=Mode.DIRECT, opened=False
        ),
    ]
    stored = store_envelopes(store, envelopes)
    ids = [one.envelope_id for one in envelopes]

    def answers():
        log = store.log
        return {
            "wires": [log.wire(one) for one in ids if log.wire(one) is not None],
            "seen": log.is_seen(ids),
            "entries": log.entries(0, 10),
            "keys": list(log.keys(make.main, 4)),
            "direct keys": log.direct_keys(make.alpha),
            "counted": log.counts().held,
            "first hops": log.first_hops(),
        }

    before = answers()
    assert all(before.values())
    for one in stored:
        store.log.set_out(one.entry.lsn, is_out)
    assert not any(answers().values())
    assert [store.log.evidence(one) for one in ids] == [one.wire for one in envelopes]
    for one in stored:
        store.log.set_out(one.entry.lsn, False)
    assert answers() == before | {"first hops": []}, "a first hop that was given up stays so"


def test_our_chain_continues_and_recipients_are_counted(store, make):
    state = store.log.author_state(make.now)
    assert (state.sequence, state.previous) == (0, bytes(32))
    assert state.incarnation >= make.now
    own = make.envelope(
        author=make.ourselves,
        received_from=None,
        incarnation=state.incarnation,
        recipient_sequences={make.alpha: 1},
    )
    store_envelopes(store, [own])
    after = store.log.author_state(make.now)
    assert (after.incarnation, after.sequence, after.previous) == (state.incarnation, 1, own.envelope_id)
    for incarnation, number in (
        (state.incarnation, RecipientNumber(2)),
        (state.incarnation + 9, RecipientNumber(1, state.incarnation, 1)),
    ):
        numbers = store.log.recipient_numbers([make.alpha, make.bravo], incarnation)
        assert numbers == {make.alpha: number, make.bravo: RecipientNumber(1)}


def test_each_start_begins_a_larger_incarnation_and_keeps_the_link(store, open_at, make):
    state = store.log.author_state(make.now)
    own = make.envelope(author=make.ourselves, received_from=None, incarnation=state.incarnation)
    store_envelopes(store, [own])
    store.close()
    reopened = open_at().log.author_state(make.now - 10_000)  # a clock that went back does not matter
    assert reopened.incarnation > state.incarnation
    assert (reopened.sequence, reopened.previous) == (0, own.envelope_id)


def test_a_number_of_our_own_chain_is_never_used_twice(store, make):
    incarnation = store.log.author_state(make.now).incarnation
    own = {"author": make.ourselves, "received_from": None, "incarnation": incarnation}
    store_envelopes(store, [make.envelope(sequence=5, **own)])
    with pytest.raises(StoreError) as refusal:
        store_envelopes(store, [make.envelope(sequence=6, **own), make.envelope(sequence=5, salt="x", **own)])
    assert refusal.value.reason == "own-sequence-used"
    assert store.log.counts().held == 1
    assert store.log.author_state(make.now).sequence == 5


def test_a_restored_backup_begins_above_what_partners_give_back(store, make):
    """Envelopes of ours that a restored store no longer knows come back with their incarnation."""
    ahead = make.now + 50_000
    store_envelopes(
        store, [make.envelope(author=make.ourselves, incarnation=ahead, received_from=make.alpha)]
    )
    assert store.log.author_state(make.now).incarnation == ahead + 1


def test_an_incarnation_whose_beginning_was_undone_is_begun_again(store, make):
    """Or the next envelope would take a number of the life before, which a restored store may have used."""
    before = store.log.author_state(make.now).incarnation
    store.log._incarnation = None  # as after a start
    with pytest.raises(ZeroDivisionError), store.transaction():
        assert store.log.author_state(make.now + 1).incarnation > before
        raise ZeroDivisionError
    assert store.log.author_state(make.now + 2).incarnation > before


def test_who_goes_on_after_a_part_has_failed_writes_nothing(store, make):
    """The connection has no transaction any more: each statement would commit itself."""
    store.partners.touch(make.alpha, 1)
    with pytest.raises(StoreError), store.transaction() as writer:
        with suppress(OverflowError):
            store.partners.touch(make.alpha, 10**30)
        assert store.database.is_undone
        writer.execute("UPDATE last_exchange SET at = 77")
    assert store.partners.last_exchanges() == {make.alpha: 1}
    store.partners.touch(make.alpha, 2)
    assert store.partners.last_exchanges() == {make.alpha: 2}


def test_partners_come_and_go_and_their_cards_and_names_stay(store, make):
    store.partners.put(_partner(make, make.bravo, "bravo"))
    store.partners.put(_partner(make, make.alpha, "alpha", has_link=False, circles=()))
    assert [row.alias for row in store.partners.all()] == ["alpha", "bravo"]
    assert store.partners.all()[1] == _partner(make, make.bravo, "bravo")
    store.partners.update_card(make.alpha, b"card 2", 2)
    store.partners.touch(make.alpha, 50)
    store.partners.touch(make.alpha, 40)
    assert (store.partners.all()[0].card, store.partners.all()[0].card_version) == (b"card 2", 2)
    assert store.partners.newest_card(make.alpha) == b"card 2"
    assert store.partners.last_exchanges() == {make.alpha: 50}
    store.partners.remove(make.alpha)
    assert [row.alias for row in store.partners.all()] == ["bravo"]
    assert store.partners.names() == {make.ourselves: "Ourselves", make.alpha: "alpha", make.bravo: "bravo"}
    assert store.partners.newest_card(make.alpha) == b"card 2"


def test_two_cards_of_one_version_freeze_the_partner_and_are_kept(store, make):
    store.partners.put(_partner(make, make.alpha))
    store.partners.freeze(make.alpha, evidence=(b"one", b"two"), now=make.now)
    store.partners.freeze(make.alpha, evidence=(b"one", b"three"), now=make.now)
    assert store.partners.all()[0].is_frozen
    (fork,) = store.partners.card_forks()
    assert (fork.partner_id, fork.first, fork.second) == (make.alpha, b"one", b"two")
    assert store.partners.fork_count() == 1


def test_what_came_in_is_what_was_stored_held_deferred_or_refused(store, make):
    store.partners.add_accounting(
        [(make.alpha, "held", ""), (make.alpha, "already-held", ""), (make.bravo, "held", "")]
    )
    store.partners.add_accounting(
        [(make.alpha, "refused", "expired")] * 3 + [(make.alpha, "deferred", "deferred")]
    )
    store.partners.count_refusals(make.alpha, {"bad-id": 7})
    for account in store.partners.accounts():
        assert account.came_in == (
            account.stored + account.already_held + account.deferred + sum(account.refused.values())
        )
    (alpha, _) = store.partners.accounts()
    assert (alpha.came_in, alpha.refused) == (6, {"expired": 3})
    assert store.partners.refusals() == {"expired": 3, "bad-id": 7}


def test_deferred_envelopes_wait_in_a_bounded_room(store, make):
    ids = [EnvelopeId(n.to_bytes(32, "big")) for n in range(100)]
    kept = [
        store.log.defer(one, b"wire %d" % n, make.alpha, make.now + 1_000 + n) for n, one in enumerate(ids)
    ]
    assert kept.count(True) == 64
    assert store.log.defer(ids[0], b"wire 0", make.alpha, make.now + 1_000)  # the same again is no second
    assert store.log.defer(ids[99], b"other", make.bravo, make.now + 900)
    assert store.log.due_deferred(make.now, 100, 1_000) == []
    due = store.log.due_deferred(make.now + 401, 100, 1_000)
    assert [(one.wire, one.received_from) for one in due] == [
        (b"other", make.bravo), (b"wire 0", make.alpha), (b"wire 1", make.alpha)
    ]  # fmt: skip
    assert len(store.log.due_deferred(make.now + 401, 2, 1_000)) == 2
    assert len(store.log.due_deferred(make.now + 401, 100, 11)) == 2, "so many bytes"
    assert len(store.log.due_deferred(make.now + 401, 100, 1)) == 1, "one at least"
    store.log.drop_deferred(one.envelope_id for one in due)
    assert len(store.log.due_deferred(make.now + 10_000, 100, 1_000)) == 62


def test_a_deferred_envelope_that_was_tried_before_comes_alone(store, make):
    ids = [EnvelopeId(n.to_bytes(32, "big")) for n in range(3)]
    for n, one in enumerate(ids):
        store.log.defer(one, b"wire", make.alpha, make.now + 1_000 + n)
    store.log.begin_deferred(ids[1:2])
    assert [one.envelope_id for one in store.log.due_deferred(make.now + 5_000, 9, 999)] == ids[:1]
    store.log.drop_deferred(ids[:1])
    (alone,) = store.log.due_deferred(make.now + 5_000, 9, 999)
    assert (alone.envelope_id, alone.attempts) == (ids[1], 1)
    store.log.forgive_deferred(ids[1:2])
    assert len(store.log.due_deferred(make.now + 5_000, 9, 999)) == 2


def test_missing_numbers_of_an_author_are_gaps_until_they_come(store, make):
    def receive(number, n):
        store_envelopes(store, [make.envelope(sequence=n, recipient_sequence=number)])

    for n, number in enumerate([2, 3, 9, 6], start=1):
        receive(number, n)
    assert store.log.sequence_gaps(make.alpha) == [(1, 1, 1), (1, 4, 5), (1, 7, 8)]
    assert store.log.sequence_gaps(make.alpha, 2) == [(1, 1, 1), (1, 4, 5)]
    (total,) = store.log.gap_totals()
    assert (total.author, total.numbers, total.noted_at) == (make.alpha, 5, make.now)
    receive(1, 10)
    receive(5, 11)
    receive(5, 12)
    receive(8, 13)
    assert store.log.sequence_gaps(make.alpha) == [(1, 4, 4), (1, 7, 7)]
    assert store.log.sequence_gaps(make.bravo) == []
    receive(INTEGER_MAX, 14)
    receive(2**52, 15)
    assert [total.numbers for total in store.log.gap_totals()] == [INTEGER_MAX - 9 - 1 - 1 + 2]


def test_gaps_of_an_author_who_jumps_as_far_as_it_can_in_each_incarnation_are_still_summed_up(store, make):
    """Else one author's numbers end every status: the sum is beyond what SQLite adds."""
    envelopes = [
        make.envelope(incarnation=n, recipient_sequence=INTEGER_MAX, opened=False) for n in range(1, 1_030)
    ]
    store_envelopes(store, envelopes)
    (total,) = store.log.gap_totals()
    assert total.numbers >= 2**62


def test_an_author_that_leaves_every_other_number_out_makes_no_later_envelope_dear(store, make):
    """Each number that comes late looks for its gap: among 100,000 of them 128 envelopes took 0.7 s of the writer."""
    steps = []
    with store.database.transaction() as writer:
        author = store.database.organisation(make.alpha)
        for number in range(2, 4_002, 2):
            sequences.note_received(writer, author, 1, RecipientNumber(number), make.now)
        writer.set_progress_handler(lambda: bool(steps.append(1)), 100)
        for number in range(3_800, 4_000):
            sequences.note_received(writer, author, 1, RecipientNumber(number), make.now)
        writer.set_progress_handler(None)
    assert len(steps) < 1_000, "hundreds of SQLite's steps"
    assert [total.numbers for total in store.log.gap_totals()] == [2_000 - 100]


def test_two_envelopes_of_one_number_are_both_kept_and_flagged(store, make):
    one, other = make.envelope(salt="1"), make.envelope(salt="2")
    store_envelopes(store, [one, other, make.envelope(author=make.bravo)])
    (fork,) = store.log.sequence_forks()
    assert (fork.author, fork.first, fork.second) == (make.alpha, one.envelope_id, other.envelope_id)
    assert store.log.wire(one.envelope_id) and store.log.wire(other.envelope_id)
    store.log.expire(make.now + 10**9)
    assert store.log.sequence_forks() == [fork]
    assert store.log.wire(one.envelope_id) is None
    assert store.log.evidence(one.envelope_id) == one.wire


def test_expiry_drops_the_wire_then_the_key_and_never_the_claims(store, make):
    relayed = make.envelope(sequence=1, ttl_class=1, opened=False)
    readable = make.envelope(make.indicator(), sequence=2, ttl_class=1)
    store_envelopes(store, [relayed, readable])
    day = make.now + 86_400
    assert store.log.expire(day - 1).dropped == 0
    assert store.log.expire(day).dropped == 2
    assert store.log.expire(day).dropped == 0
    assert store.log.wire(relayed.envelope_id) is None
    assert store.log.entries(0, 10) == []
    assert len(list(store.log.keys(make.main, 1))) == 2
    assert store.log.is_seen([relayed.envelope_id]) == {relayed.envelope_id}
    store.log.expire(day + 3_599)
    assert len(list(store.log.keys(make.main, 1))) == 2
    store.log.expire(day + 3_600)
    assert list(store.log.keys(make.main, 1)) == []
    assert store.log.is_seen([relayed.envelope_id]) == set()
    assert len(store.knowledge.lookup([ADDRESS])[ADDRESS]) == 1
    assert store.log.counts().held == 0


def test_expired_envelopes_of_ours_stop_waiting(store, make):
    incarnation = store.log.author_state(make.now).incarnation
    own = {"author": make.ourselves, "received_from": None, "incarnation": incarnation, "ttl_class": 1}
    store_envelopes(store, [make.envelope(sequence=1, mode=Mode.DIRECT, audience=(make.alpha,), **own)])
    store_envelopes(store, [make.envelope(sequence=2, awaits_first_hop=True, **own)])
    store.log.expire(make.now + 86_400)
    assert store.log.outbox(make.alpha) == [] == store.log.first_hops()
    assert store.log.counts().pending == 0


def test_several_calls_are_one_transaction(store, make):
    with pytest.raises(RuntimeError), store.transaction():
        store_envelopes(store, [make.envelope(make.indicator())])
        store.partners.add_accounting([(make.alpha, "held", "")])
        assert store.log.counts().held == 1  # the writing thread sees its own work
        raise RuntimeError
    assert store.log.counts().held == 0
    assert store.partners.accounts() == []
    assert store.knowledge.lookup([ADDRESS]) == {}
    (stored,) = store_envelopes(store, [make.envelope(make.indicator())])
    assert stored.is_new
    assert len(store.knowledge.lookup([ADDRESS])[ADDRESS]) == 1


def test_a_part_that_fails_undoes_all_and_nothing_is_committed_after_it(store, make):
    def broken_frames():
        yield make.frame([make.indicator("198.51.100.1")])
        raise ValueError("the second frame cannot be inflated")

    whole = make.envelope(make.indicator(), sequence=1)
    broken = make.envelope(sequence=2)
    object.__setattr__(broken, "frames", broken_frames())
    with pytest.raises(StoreError) as undone, store.transaction():
        store_envelopes(store, [whole])
        with pytest.raises(ValueError, match="second frame"):
            store_envelopes(store, [broken])
        with pytest.raises(StoreError) as refused:  # alone it would be committed, though the whole was not
            store_envelopes(store, [make.envelope(make.indicator("198.51.100.2"), sequence=3)])
        assert refused.value.reason == "store-undone"
    assert undone.value.reason == "store-undone"
    assert store.log.counts().held == 0
    assert (
        store.knowledge.lookup(
            [ADDRESS, Observable("ipv4", "198.51.100.1"), Observable("ipv4", "198.51.100.2")]
        )
        == {}
    )
    (stored,) = store_envelopes(store, [whole])
    assert stored.is_new


def test_other_threads_see_whole_transactions_only(store, make):
    seen = []

    def look():
        seen.append(store.log.counts().held)

    with store.transaction():
        store_envelopes(store, [make.envelope(opened=False)])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert seen == [0, 1]


def test_the_epoch_stays_until_it_is_renewed(store, open_at):
    epoch = store.log.epoch()
    store.close()
    again = open_at()
    assert again.log.epoch() == epoch
    assert again.log.new_epoch() != epoch
    assert again.log.epoch() != epoch


def test_a_read_only_store_reads_beside_the_writer_and_writes_nothing(store, open_reading, make):
    store_envelopes(store, [make.envelope(make.indicator())])
    reader = open_reading()
    assert reader.log.counts().held == 1
    assert not hasattr(reader.log, "add")
    with pytest.raises(StoreError) as refusal, reader.database.transaction():
        pass
    assert refusal.value.reason == "store-read-only"
    store_envelopes(store, [make.envelope(sequence=2, opened=False)])
    assert reader.log.counts().held == 2


def test_an_exchange_that_a_wrong_clock_dated_far_ahead_is_not_the_latest_for_ever(store, make):
    """A clock that jumped 100 days ahead for a minute would keep the alarm `no-exchange` away for as long."""
    partner = PartnerId(b"p" * 32)
    for at in (1_000, 900, 1_000 + 100 * 86_400, 1_060):
        store.partners.touch(partner, at)
    assert store.partners.last_exchanges()[partner] == 1_060
    store.partners.touch(partner, 1_050)
    assert store.partners.last_exchanges()[partner] == 1_060
