"""The outlet: what a player publishes, sees and withdraws becomes entries of the exercise, and nothing is sealed for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from exercise_histories import inject_of, pack_of, salt_of
from players import Players, ids_held
from store_rows import rows
from whole_nodes import World, draft, quiet

from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.intel.exercise_pack import pack_leaves
from p2pshare.intel.marking import Tlp
from p2pshare.node.exercise_file import exercise_path
from p2pshare.node.node import Node
from p2pshare.operations import publishing
from p2pshare.operations.assessing import Sight
from p2pshare.operations.exercise_alarms import EXERCISE_ALARMS
from p2pshare.operations.publishing import Discard, Part, Prepare, Prepared, Seal, Sealed
from p2pshare.operations.withdrawing import Withdraw
from p2pshare.queries.alarms import alarms
from p2pshare.spaces.acts import Plain
from p2pshare.spaces.exercise import ExerciseFold
from p2pshare.spaces.exercise_entries import (
    READERS,
    STATED_VALUES_MAX,
    ExerciseBody,
    ExerciseObject,
    ExercisePause,
    ExerciseSighting,
    ExerciseStart,
    ExerciseWithdrawal,
    encode_exercise,
    released_inject,
    stated_pack,
)
from p2pshare.spaces.exercise_grounds import make_exercise, note_stop
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading
from p2pshare.spaces.writing import SpaceStatement

TOLD = "login.example.org"  # in the inject's text
INSIDE = "203.0.113.9"  # in its payload


@pytest.fixture(scope="module")
def players(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    players = Players(World(tmp_path_factory.mktemp("nodes")), "alpha", "bravo", "charlie", "outside")
    yield players
    players.world.close()


@pytest.fixture(scope="module")
def lead(players: Players) -> Node:
    """alpha leads; bravo and charlie play; one inject names a value, and its payload another."""
    made = make_exercise(
        players["alpha"],
        "a drill",
        int(Tlp.GREEN),
        [(players.id("bravo"), "clinic"), (players.id("charlie"), "ward")],
        players.now,
    )
    exercise = made.ground.exercise
    assert exercise is not None
    players.run(2)
    for name in ("bravo", "charlie"):
        spaces_of(players.played(name, exercise)).join(exercise, players.now)
        players.run(2)
    injects = [inject_of(1, text=f"look for {TOLD}"), inject_of(2, payload="warning.json")]
    payload = f'{{"type": "ipv4-addr", "value": "{INSIDE}"}}'.encode()
    pack, payloads = pack_of(injects), {"warning.json": payload}
    leaves = pack_leaves(pack, payloads, [salt_of(1), salt_of(2)])
    say(made, "pack", stated_pack(pack, b"the archive", leaves), players.now)
    say(made, "start", ExerciseStart(60), players.now)
    for _ in exchange_of(made).saying_whole(exercise, payload, int(Tlp.GREEN), players.now):
        pass
    for number, inject in enumerate(injects, 1):
        say(
            made,
            "inject",
            released_inject(inject, salt_of(number), payloads.get(inject.payload, b"")),
            players.now,
        )
    players.run(3)
    return made


@pytest.fixture
def bravo(players: Players, lead: Node) -> Node:
    assert lead.ground.exercise is not None
    return players.played("bravo", lead.ground.exercise)


def say(node: Node, kind: str, body: ExerciseBody, now: int) -> None:
    assert node.ground.exercise is not None
    said = SpaceStatement(kind, encode_exercise(body), int(Tlp.GREEN))
    spaces_of(node).say(node.ground.exercise, said, now)


def said_by(node: Node, kind: str) -> list[object]:
    """What is held of a kind on a node's ground, in the order of storing."""
    reading = SpaceReading(node.store.database)
    entries = (entry for row in reading.all() for entry in reading.entries(row))
    return [READERS[kind](entry.content()) for entry in entries if entry.header.kind == kind]


def prepared(
    node: Node, values: list[str], tlp: Tlp = Tlp.GREEN, *, now: int, to: tuple[str, ...] = ()
) -> Prepared:
    part = draft(node, values, tlp, now)
    return Prepare((Part(part.tlp, part.frames, part.objects, 0),), to).run(node, now, quiet)


def published(
    node: Node, values: list[str], tlp: Tlp = Tlp.GREEN, *, now: int, to: tuple[str, ...] = ()
) -> Sealed:
    return Seal(prepared(node, values, tlp, now=now, to=to).token).run(node, now, quiet)


def sealed(node: Node) -> int:
    """How many envelopes the real log has of ours."""
    return sum(one.author == node.identity.partner_id for one in node.store.log.entries(0, 10_000))


def test_what_is_published_is_an_object_of_the_exercise_and_its_stix_goes_in_parts(
    players: Players, lead: Node, bravo: Node
) -> None:
    real = players["bravo"]
    before, spool = sealed(real), list((real.home / "spool").glob("*"))
    shown = prepared(bravo, ["evil.example", INSIDE, "10.1.2.3"], now=players.now)
    assert (shown.published, shown.recipients, shown.refused) == (3, ["alpha", "charlie"], []), (
        "no list is asked"
    )
    assert list((real.home / "spool").glob("*")) == spool, "it waits beside the exercise"
    done = Seal(shown.token).run(bravo, players.now, quiet)
    assert done.is_finished and len(done.envelopes) == 1
    assert sealed(real) == before, "until its round comes nothing is sealed, and then it is of the exercise"
    players.run(3)
    [body] = said_by(lead, "object")
    assert isinstance(body, ExerciseObject) and body.to == () and body.tlp == int(Tlp.GREEN)
    assert [value for _, value in body.values] == ["evil.example", "10.1.2.3", INSIDE]
    assert lead.ground.exercise is not None
    stix = exchange_of(lead).whole(lead.ground.exercise, body.digest)
    assert b"evil.example" in stix and len(stix) == body.size
    for name in ("alpha", "bravo", "charlie", "outside"):
        assert rows(players[name].store.database.path, "SELECT count(*) FROM observable") == [(0,)]
    played = exercise_path(real.home, lead.ground.realm)
    tables = [name for (name,) in rows(played, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    filled = {name for name in tables if rows(played, f'SELECT 1 FROM "{name}" LIMIT 1')}
    made_with = {"own_chain", "pap_label", "setting", "tlp_label"}  # have rows in any file
    assert filled - made_with <= {
        "organisation",
        "sqlite_sequence",
        *(one for one in filled if one.startswith("space")),
    }, filled


def test_a_token_of_play_seals_nothing_real_nor_the_other_way_round(players: Players, bravo: Node) -> None:
    real = players["bravo"]
    token = prepared(bravo, ["token.example"], now=players.now).token
    with pytest.raises(NotFoundError):
        Seal(token).run(real, players.now, quiet)
    Discard(token).run(bravo, players.now, quiet)
    with pytest.raises(NotFoundError):
        Seal(token).run(bravo, players.now, quiet)
    token = prepared(real, ["token.example"], now=players.now).token
    with pytest.raises(NotFoundError):
        Seal(token).run(bravo, players.now, quiet)
    Discard(token).run(real, players.now, quiet)
    token = prepared(bravo, ["token.example"], now=players.now).token
    with pytest.raises(NotFoundError):  # a person who thinks too long
        Seal(token).run(bravo, players.now + 61, quiet)


def test_names_are_those_of_members_and_markings_are_asked(players: Players, lead: Node, bravo: Node) -> None:
    for tlp, to, reason in (
        (Tlp.GREEN, ("outside",), "unknown-recipient"),
        (Tlp.AMBER, (), "names-needed"),
        (Tlp.RED, (), "names-needed"),
    ):
        shown = prepared(bravo, ["named.example"], tlp, now=players.now, to=to)
        assert not shown.token and shown.refusal is not None and shown.refusal.reason == reason
    published(bravo, ["named.example"], Tlp.RED, now=players.now, to=("alpha",))
    players.run(3)
    body = said_by(lead, "object")[-1]
    assert isinstance(body, ExerciseObject)
    assert body.to == (players.id("alpha"),) and body.tlp == int(Tlp.RED)
    assert lead.ground.exercise is not None
    assert exchange_of(lead).whole(lead.ground.exercise, body.digest)
    with pytest.raises(NotFoundError):  # its parts are not for charlie
        exchange_of(players.played("charlie", lead.ground.exercise)).whole(lead.ground.exercise, body.digest)
    published(bravo, ["looser.example"], Tlp.CLEAR, now=players.now)
    assert said_by(bravo, "object")[-1].tlp == int(Tlp.CLEAR)  # type: ignore[attr-defined]


def test_a_sighting_is_of_a_value_that_was_said(players: Players, lead: Node, bravo: Node) -> None:
    for what in (TOLD, INSIDE, "evil.example"):
        said = Sight(what, 3).run(bravo, players.now, quiet)
        assert said.objects == 1 and said.recipients == ["alpha", "charlie"]
    Sight(TOLD, false_positive=True, to=("alpha",)).run(bravo, players.now, quiet)
    last = said_by(bravo, "sighting")[-1]
    assert last == ExerciseSighting(last.type, TOLD, 1, 1, (players.id("alpha"),))  # type: ignore[attr-defined]
    for request in (Sight("unsaid.example"), Withdraw("unsaid.example", "mistake")):
        with pytest.raises(NotFoundError):
            request.run(bravo, players.now, quiet)
    for request in (Sight("indicator--" + "0" * 8 + "-0000-4000-8000-" + "0" * 12), Sight(TOLD, 0)):
        with pytest.raises(AuthorError):
            request.run(bravo, players.now, quiet)
    with pytest.raises(RefusedError) as refused:
        Sight(TOLD, to=("outside",)).run(bravo, players.now, quiet)
    assert refused.value.reason == "unknown-recipient"


def test_what_we_published_is_withdrawn_and_nothing_else(players: Players, lead: Node, bravo: Node) -> None:
    shown = Withdraw("evil.example", "mistake", dry_run=True).run(bravo, players.now, quiet)
    assert shown.objects == ["evil.example"] and not shown.envelopes
    done = Withdraw("evil.example", "mistake").run(bravo, players.now, quiet)
    assert len(done.envelopes) == 1
    [body] = said_by(bravo, "withdrawal")
    assert isinstance(body, ExerciseWithdrawal) and body.text == "mistake"
    assert bravo.ground.exercise is not None
    fold = spaces_of(bravo).state(bravo.ground.exercise).kind
    assert isinstance(fold, ExerciseFold) and "evil.example" not in {value for _, value in fold.values()}
    with pytest.raises(RefusedError) as refused:
        Withdraw(TOLD, "mistake").run(bravo, players.now, quiet)
    assert refused.value.reason == "not-ours"
    for again in ("evil.example",):
        with pytest.raises(NotFoundError):
            Withdraw(again, "mistake").run(bravo, players.now, quiet)


def test_what_has_no_value_or_is_too_large_is_refused_whole(
    players: Players, bravo: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids_held(bravo)
    monkeypatch.setattr(publishing, "KEPT_BYTES_MAX", 1_000)
    with pytest.raises(AuthorError) as refused:
        prepared(bravo, [f"large-{number}.example" for number in range(40)], now=players.now)
    assert refused.value.reason == "oversized" and not bravo.preparing
    monkeypatch.undo()
    many = [f"many-{number}.example" for number in range(100)]
    assert len(published(bravo, many, now=players.now).envelopes) == -(-100 // STATED_VALUES_MAX)
    players.run(3)
    assert ids_held(bravo) > before


def test_a_real_event_is_an_alarm_of_the_real_node_that_says_nothing_of_the_game(
    players: Players, lead: Node, bravo: Node, tmp_path: Path
) -> None:
    def raised(name: str) -> list[tuple[str, str]]:
        node, exercise = players[name], lead.ground.exercise
        assert exercise is not None
        played = players.played(name, exercise)
        spaces_of(played).state(exercise)
        note_stop(node, played, players.now)
        found = alarms(node.store, node.card, is_running=True, now=players.now, functions=EXERCISE_ALARMS)
        return [(one.word, str(one.space)) for one in found]

    assert lead.ground.exercise is not None
    assert raised("alpha") == raised("charlie") == []
    say(bravo, "pause", ExercisePause(1), players.now)
    players.run(3)
    told = ("exercise-stopped", lead.ground.exercise.text)
    assert raised("alpha") == raised("bravo") == raised("charlie") == [told]
    [alarm] = alarms(
        players["alpha"].store,
        players["alpha"].card,
        is_running=True,
        now=players.now,
        functions=EXERCISE_ALARMS,
    )
    assert "a drill" not in str(alarm) and TOLD not in str(alarm)
    assert rows(players["outside"].store.database.path, "SELECT count(*) FROM exercise_stopped") == [(0,)]
    said = SpaceStatement("resume", Plain().encode(), int(Tlp.GREEN))
    spaces_of(lead).say(lead.ground.exercise, said, players.now)
    players.run(3)
    assert raised("alpha") == raised("charlie") == []


def test_in_an_exercise_that_has_ended_nothing_is_played_any_more(
    players: Players, lead: Node, bravo: Node
) -> None:
    assert lead.ground.exercise is not None
    ending = SpaceStatement("end", Plain().encode(), int(Tlp.GREEN))
    spaces_of(lead).say(lead.ground.exercise, ending, players.now)
    players.run(3)
    before = len(said_by(bravo, "object")) + len(said_by(bravo, "sighting"))
    for act in (
        lambda: published(bravo, ["late.example"], now=players.now),
        lambda: Sight(TOLD).run(bravo, players.now, quiet),
        lambda: Withdraw(TOLD, "mistake").run(bravo, players.now, quiet),
    ):
        with pytest.raises(RefusedError) as refused:
            act()
        assert refused.value.reason == "wrong-phase"
    assert len(said_by(bravo, "object")) + len(said_by(bravo, "sighting")) == before
