"""A publication that is too large for one transaction leaves whole or not at all, whenever it is interrupted and by what."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_nodes import NOW, READERS, World, befriend, draft, quiet, send, take_in, wire_of

from p2pshare.envelope.envelope import decode_envelope
from p2pshare.errors import DiskFull, NotFoundError, OperatorError, RefusedError, ShareError
from p2pshare.identifiers import CircleId, EnvelopeId, PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.node import Node
from p2pshare.operations.cards import RevokeKey, RotateCard
from p2pshare.operations.publishing import DiscardPublication, Part, Prepare, Prepared, Seal, SealOn
from p2pshare.operations.withdrawing import Withdraw
from p2pshare.queries.searching import show_publications
from p2pshare.queries.status import status
from p2pshare.sharing import staging
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import apply_card_update, remove_partner
from p2pshare.sharing.reading import read_all

PARTS = 5


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every publication is staged, a part a step."""
    monkeypatch.setattr(staging, "ONE_CALL_OBJECTS", 0)
    monkeypatch.setattr(staging, "SEALED_ROWS_AT_ONCE", 1)
    monkeypatch.setattr(staging, "MOVED_AT_ONCE", 2)
    monkeypatch.setattr(staging, "STORED_ROWS_AT_ONCE", 1)


@pytest.fixture
def two(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def values_of(number: int) -> list[str]:
    return [f"{number}-{letter}.evil.example" for letter in "abc"]


def prepared(node: Node, parts: int = PARTS, now: int = NOW, *, dry_run: bool = False) -> Prepared:
    """Handed over part by part, as a command does."""
    token = ""
    for number in range(parts):
        one = draft(node, values_of(number), now=now)
        part = Part(one.tlp, one.frames, one.objects, one.repeats)
        goes_on = number < parts - 1
        request = Prepare((part,), ("bravo",), dry_run=dry_run, token=token, goes_on=goes_on)
        done = request.run(node, now, quiet)
        token = done.token
    return done


def begun(node: Node, parts: int = PARTS) -> str:
    sealed = Seal(prepared(node, parts).token).run(node, NOW, quiet)
    assert (sealed.envelopes, sealed.is_finished) == ([], False)
    return sealed.publication


def step(node: Node, publication: str) -> staging.StagingStep:
    return SealOn(publication).run(node, NOW, quiet).step


def until_sealed(node: Node, publication: str) -> None:
    while (done := step(node, publication)).done < done.of:
        assert (done.what, done.has_left) == ("sealed", False)
    assert done.what == "sealed"


def finished(node: Node, publication: str) -> list[EnvelopeId]:
    while not (done := SealOn(publication).run(node, NOW, quiet)).step.is_finished:
        pass
    return [EnvelopeId.parse(one) for one in done.envelopes]


def traces(node: Node) -> dict[str, object]:
    """Everything by which somebody else could tell that something is published."""
    log = node.store.log
    return {
        "entries": log.entries(0, 1_000),
        "keys": [key for ttl in range(1, 7) for key in log.keys(CircleId.of("main"), ttl)],
        "outbox": [log.outbox(one) for one in (node.identity.partner_id,)],
        "first hops": log.first_hops(),
        "held": log.counts().held,
        "claims": node.store.knowledge.observable_counts(),
        "carried": dict(log.carried()),
        "last": log.last_lsn(),
    }


def hand_over(giver: Node, taker: Node) -> None:
    """Everything, the newest first: order is no promise of a network."""
    entries = giver.store.log.entries(0, 1_000)
    arrivals = [
        Arrival(wire_of(giver, one.envelope_id), giver.identity.partner_id) for one in reversed(entries)
    ]
    assert {one.status for one in take_in(taker, arrivals, NOW)} <= {
        IntakeStatus.HELD,
        IntakeStatus.ALREADY_HELD,
    }


def assert_whole(alpha: Node, bravo: Node, publication: str, parts: int = PARTS) -> None:
    """It is one thing at both, and nothing of alpha's is missing, or told twice."""
    hand_over(alpha, bravo)
    for node in (alpha, bravo):
        [shown] = show_publications(node.store, PublicationId.parse(publication))
        assert (shown.parts_held, shown.parts, shown.values) == (parts, parts, 3 * parts)
        assert [one.part for one in shown.envelopes] == list(range(1, parts + 1))
        assert node.store.log.sequence_gaps(alpha.identity.partner_id) == []
        assert node.store.log.sequence_forks() == []
        assert node.store.log.used_twice() == []
        assert node.store.log.counts().unread == 0
        for number in range(parts):
            assert len(node.store.knowledge.lookup(map(detect, values_of(number)))) == 3
    assert staging.under_way(alpha.store) == []
    assert list((alpha.home / "spool").iterdir()) == []


def assert_nothing(alpha: Node, bravo: Node, before: dict[str, object]) -> None:
    """Nothing of it left, and what comes next is whole."""
    assert traces(alpha) == before
    assert list((alpha.home / "spool").iterdir()) == []
    assert staging.under_way(alpha.store) == []
    send(alpha, ["next.example"], to=["bravo"])
    hand_over(alpha, bravo)
    assert bravo.store.log.sequence_gaps(alpha.identity.partner_id) == []
    assert bravo.store.knowledge.lookup([detect("next.example")])


def test_nothing_is_seen_before_the_last_is_sealed_and_then_all_of_it(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    before = traces(alpha)
    publication = begun(alpha)
    chain = alpha.store.log.author_state(NOW)
    sealed = 0
    while sealed < PARTS:
        assert traces(alpha) == before
        assert alpha.store.log.author_state(NOW) == chain
        sealed = step(alpha, publication).done
    assert traces(alpha) == before
    assert step(alpha, publication).has_left
    assert alpha.store.log.author_state(NOW).sequence == chain.sequence + PARTS
    envelopes = finished(alpha, publication)
    assert [one.envelope_id for one in alpha.store.log.entries(0, 100)] == envelopes
    assert_whole(alpha, bravo, publication)


def test_what_is_handed_over_in_many_messages_is_one_publication(two: tuple[Node, Node]) -> None:
    alpha, _ = two
    done = prepared(alpha)
    assert (done.published, done.observables, done.recipients) == (3 * PARTS, 3 * PARTS, ["bravo"])
    assert prepared(alpha, dry_run=True).token == ""
    assert len(list((alpha.home / "spool").iterdir())) == 1
    assert alpha.preparing == {}


def test_a_part_whose_publication_is_not_open_is_refused(two: tuple[Node, Node]) -> None:
    alpha, _ = two
    part = draft(alpha, ["evil.example"])
    one = Part(part.tlp, part.frames, part.objects, part.repeats)
    for token in ("0" * 32, prepared(alpha).token):
        with pytest.raises(NotFoundError) as caught:
            Prepare((one,), token=token).run(alpha, NOW, quiet)
        assert caught.value.reason == "not-prepared"


def test_parts_that_stop_coming_are_forgotten(two: tuple[Node, Node]) -> None:
    alpha, _ = two
    part = draft(alpha, ["evil.example"])
    one = Part(part.tlp, part.frames, part.objects, part.repeats)
    token = Prepare((one,), ("bravo",), goes_on=True).run(alpha, NOW, quiet).token
    assert list(alpha.preparing) == [token]
    Prepare((one,), ("bravo",), dry_run=True).run(alpha, NOW + 601, quiet)
    assert alpha.preparing == {}
    assert list((alpha.home / "spool").iterdir()) == []


@pytest.mark.parametrize("steps", range(0, 16, 2))
def test_who_is_killed_after_any_step_leaves_what_ends_whole(
    world: World, two: tuple[Node, Node], steps: int
) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    with_some_steps(alpha, publication, steps)
    alpha = world.reopen("alpha")
    staging.tidy(alpha)
    while (one := staging.next_publication(alpha.store)) is not None:
        staging.step(alpha, one, NOW + 60)
    assert_whole(alpha, bravo, publication)


def with_some_steps(node: Node, publication: str, steps: int) -> None:
    for _ in range(steps):
        if staging.next_publication(node.store) is not None:
            step(node, publication)


def test_another_publication_while_it_is_sealed_has_the_next_number_and_it_is_sealed_anew(
    two: tuple[Node, Node],
) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    for _ in range(3):
        step(alpha, publication)
    send(alpha, ["between.example"], to=["bravo"])
    hand_over(alpha, bravo)
    assert bravo.store.log.sequence_gaps(alpha.identity.partner_id) == []
    finished(alpha, publication)
    assert_whole(alpha, bravo, publication)


def test_another_publication_while_it_is_released_or_stored_comes_behind_it(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    until_sealed(alpha, publication)
    for number in range(4):
        step(alpha, publication)
        send(alpha, [f"behind-{number}.example"], to=["bravo"])
    finished(alpha, publication)
    assert_whole(alpha, bravo, publication)


def test_who_would_get_it_changes_while_it_is_sealed_and_nobody_gets_it(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    until_sealed(alpha, publication)
    remove_partner(alpha, "bravo")
    before = traces(alpha)
    with pytest.raises(RefusedError) as caught:
        step(alpha, publication)
    assert (caught.value.reason, "who would get it" in caught.value.message) == ("prepared-changed", True)
    befriend(alpha, bravo)
    assert_nothing(alpha, bravo, before)


def test_what_is_withdrawn_while_it_is_sealed_does_not_leave(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    send(alpha, values_of(0), to=["bravo"])
    publication = begun(alpha)
    step(alpha, publication)
    step(alpha, publication)
    Withdraw(values_of(0)[0], "mistake").run(alpha, NOW + 1, quiet)
    before = traces(alpha)
    with pytest.raises(RefusedError) as caught:
        finished(alpha, publication)
    assert caught.value.reason == "prepared-changed"
    assert_nothing(alpha, bravo, before)


def test_what_was_given_up_while_nobody_asked_is_told_until_somebody_has_read_it(
    two: tuple[Node, Node],
) -> None:
    alpha, bravo = two
    before = traces(alpha)
    publication = begun(alpha)
    [held] = (alpha.home / "spool").iterdir()
    held.write_bytes(b"no publication")
    with pytest.raises(OperatorError):
        staging.step(alpha, PublicationId.parse(publication), NOW)
    [told] = status(alpha, NOW).publishing
    assert (told.publication, "cannot be read back" in told.reason) == (publication, True)
    assert staging.next_publication(alpha.store) is None
    with pytest.raises(RefusedError, match="cannot be read back"):
        step(alpha, publication)
    assert status(alpha, NOW).publishing == []
    assert_nothing(alpha, bravo, before)


@pytest.mark.parametrize("steps", [0, 1, 3, 6])
def test_it_can_be_discarded_until_it_has_left(two: tuple[Node, Node], steps: int) -> None:
    alpha, bravo = two
    before = traces(alpha)
    publication = begun(alpha)
    with_some_steps(alpha, publication, steps)
    [told] = status(alpha, NOW).publishing
    assert (told.publication, told.what, told.reason) == (publication, "sealed", "")
    DiscardPublication(publication).run(alpha, NOW, quiet)
    assert_nothing(alpha, bravo, before)
    with pytest.raises(NotFoundError):
        DiscardPublication(publication).run(alpha, NOW, quiet)


def test_what_has_left_cannot_be_discarded(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    until_sealed(alpha, publication)
    step(alpha, publication)
    with pytest.raises(RefusedError) as caught:
        DiscardPublication(publication).run(alpha, NOW, quiet)
    assert caught.value.reason == "has-left"
    finished(alpha, publication)
    assert_whole(alpha, bravo, publication)


def test_a_file_that_is_lost_after_it_has_left_is_read_like_a_partners(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    until_sealed(alpha, publication)
    feed = alpha.store.database.fetch("SELECT feed_id FROM v1_feed")
    step(alpha, publication)
    for held in (alpha.home / "spool").iterdir():
        held.unlink()
    finished(alpha, publication)
    read_all(alpha, READERS, NOW)
    assert alpha.store.database.fetch("SELECT feed_id FROM v1_feed") == feed  # nothing came home
    assert_whole(alpha, bravo, publication)


def test_a_full_disk_stops_it_where_it_is(two: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    database = alpha.store.database
    full = 0
    is_finished = False
    while not is_finished:
        monkeypatch.setattr(database, "free_space_bytes_min", 1 << 62)
        try:
            is_finished = step(alpha, publication).is_finished  # what only makes room goes on
        except DiskFull:
            full += 1
            monkeypatch.setattr(database, "free_space_bytes_min", 0)
            step(alpha, publication)
    monkeypatch.setattr(database, "free_space_bytes_min", 0)
    assert full > PARTS
    assert_whole(alpha, bravo, publication)


@pytest.mark.parametrize("moved", [0, 1])
def test_who_revokes_the_key_stands_for_all_that_was_released(two: tuple[Node, Node], moved: int) -> None:
    """A command was killed, or the disk full, after the release: not all of it is in the log."""
    alpha, bravo = two
    publication = begun(alpha)
    until_sealed(alpha, publication)
    for _ in range(1 + moved):
        assert step(alpha, publication).what == "released"
    key = alpha.identity.operational.sign.key_id.text
    assert RevokeKey(key[:12], "compromised").run(alpha, NOW + 60, quiet).vouched == PARTS
    finished(alpha, publication)
    assert_whole(alpha, bravo, publication)


@pytest.mark.parametrize("steps", [1, PARTS - 1, PARTS])
@pytest.mark.parametrize("is_revoked", [False, True])
def test_under_another_key_it_is_sealed_anew(two: tuple[Node, Node], steps: int, is_revoked: bool) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    for _ in range(1 + steps):
        assert step(alpha, publication).what == "sealed"
    before = alpha.identity.operational.sign.key_id
    change = RevokeKey(before.text[:12], "compromised") if is_revoked else RotateCard()
    change.run(alpha, NOW + 60, quiet)
    assert before != alpha.identity.operational.sign.key_id
    while not (done := SealOn(publication).run(alpha, NOW + 61, quiet)).step.is_finished:
        pass
    assert apply_card_update(bravo, alpha.identity.partner_id, alpha.card.raw, NOW + 62)
    assert {decode_envelope(wire_of(alpha, EnvelopeId.parse(one))).core.key_id for one in done.envelopes} == {
        alpha.identity.operational.sign.key_id
    }
    assert_whole(alpha, bravo, publication)


def test_what_is_on_its_way_out_is_shown_as_that(two: tuple[Node, Node]) -> None:
    publication = PublicationId.parse(begun(two[0]))
    with pytest.raises(NotFoundError) as caught:
        show_publications(two[0].store, publication)
    assert "on its way out" in caught.value.message


def test_a_file_that_nobody_was_told_of_is_gone_with_the_next_start(two: tuple[Node, Node]) -> None:
    alpha, _ = two
    token = prepared(alpha).token
    spool = alpha.home / "spool"
    (spool / token).rename(spool / f"{token}.held")
    staging.tidy(alpha)
    assert list(spool.iterdir()) == []


def test_parts_for_different_partners_have_a_number_for_each(world: World, two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    charlie = world.found("charlie")
    befriend(alpha, charlie)
    befriend(charlie, alpha)
    token = ""
    for number, tlp in enumerate((Tlp.GREEN, Tlp.AMBER, Tlp.GREEN, Tlp.RED)):
        one = draft(alpha, values_of(number), tlp)
        part = Part(one.tlp, one.frames, one.objects, one.repeats)
        token = (
            Prepare((part,), ("bravo", "charlie"), token=token, goes_on=number < 3)
            .run(alpha, NOW, quiet)
            .token
        )
    publication = Seal(token).run(alpha, NOW, quiet).publication
    finished(alpha, publication)
    for node in (bravo, charlie):
        assert_whole(alpha, node, publication, 4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["step", "crash", "publish", "withdraw"]), max_size=24))
def test_whatever_comes_between_its_steps_it_ends_whole(
    tmp_path_factory: pytest.TempPathFactory, between: list[str]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        alpha, bravo = world.found("alpha"), world.found("bravo")
        befriend(alpha, bravo)
        befriend(bravo, alpha)
        send(alpha, [f"old-{number}.example" for number in range(24)], to=["bravo"])
        publication = begun(alpha)
        for number, what in enumerate(between):
            if what == "step":
                with_some_steps(alpha, publication, 1)
            elif what == "crash":
                alpha = world.reopen("alpha")
                staging.tidy(alpha)
            elif what == "publish":
                send(alpha, [f"new-{number}.example"], to=["bravo"], now=NOW + number)
            else:
                Withdraw(f"old-{number}.example", "mistake").run(alpha, NOW + number, quiet)
        while (one := staging.next_publication(alpha.store)) is not None:
            staging.step(alpha, one, NOW + 60)
        assert_whole(alpha, bravo, publication)
    finally:
        world.close()


def test_one_that_fits_a_transaction_is_a_publication_like_any(
    two: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "ONE_CALL_OBJECTS", 1_000)
    alpha, bravo = two
    sealed = Seal(prepared(alpha).token).run(alpha, NOW, quiet)
    assert (sealed.is_finished, len(sealed.envelopes)) == (True, PARTS)
    assert_whole(alpha, bravo, sealed.publication)


def test_the_views_name_the_publication_of_each_claim(two: tuple[Node, Node]) -> None:
    alpha, bravo = two
    publication = begun(alpha)
    finished(alpha, publication)
    hand_over(alpha, bravo)
    for node in (alpha, bravo):
        rows = node.store.database.fetch("SELECT DISTINCT publication, count(*) FROM v1_claims")
        assert rows == [(publication, 3 * PARTS)]


def test_a_publication_that_is_not_held_is_told(two: tuple[Node, Node]) -> None:
    alpha, _ = two
    with pytest.raises(NotFoundError):
        show_publications(alpha.store, PublicationId(bytes(16)))
    for request in (SealOn("0" * 32), DiscardPublication("0" * 32)):
        with pytest.raises(ShareError) as caught:
            request.run(alpha, NOW, quiet)
        assert caught.value.hint
