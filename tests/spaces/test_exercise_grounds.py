"""An exercise has a ground of its own: what is played in it travels between nodes, and never to what is real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from players import Players, ids_held, send_frames
from whole_nodes import World

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.entry import (
    NO_SPACE,
    DecodedEntry,
    EntryDraft,
    VerifiedEntry,
    sign_entry,
    verify_entry,
)
from p2pshare.envelope.hybrid import VerifyKey
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import NotFoundError, RefusedError, StoreError
from p2pshare.identifiers import CircleId, Realm
from p2pshare.node.exercise_file import exercise_path, open_exercise_node, realms_held
from p2pshare.node.node import Node
from p2pshare.spaces import exercise_grounds, spaces
from p2pshare.spaces.acts import Inviting, Opening
from p2pshare.spaces.entry_frames import encode_entry_frame, encode_exercise_entries
from p2pshare.spaces.exercise_grounds import (
    exercise_named,
    exercises_of,
    make_exercise,
    open_exercises,
    remove_damaged,
    remove_exercise,
    removed_mark,
)
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceStore
from p2pshare.spaces.writing import SpaceStatement


@pytest.fixture(scope="module")
def players(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    world = World(tmp_path_factory.mktemp("nodes"))
    yield Players(world, "alpha", "bravo", "charlie")
    world.close()


@pytest.fixture(scope="module")
def made(players: Players) -> Node:
    return players.exercise("alpha", "bravo")


def note(node: Node, text: str, now: int) -> None:
    assert node.ground.exercise is not None
    spaces_of(node).say(node.ground.exercise, SpaceStatement("note", text.encode(), 1), now)


def test_entries_travel_between_two_nodes_of_one_exercise(players: Players, made: Node) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    theirs = players.played("bravo", exercise)
    note(made, "from the lead", players.now)
    note(theirs, "from a player", players.now)
    players.run(3)
    assert len(ids_held(made)) == 4 and ids_held(made) == ids_held(theirs)
    for name in ("alpha", "bravo", "charlie"):
        assert ids_held(players[name]) == set()
        assert players.refused(name) == {}
    assert open_exercises(players["charlie"]) == []
    assert exercise_path(players["bravo"].home, made.ground.realm).stat().st_mode & 0o777 == 0o600


def test_an_exercise_is_there_after_a_restart(players: Players, made: Node) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    before = ids_held(made)
    again = exercise_named(players.reopen("bravo"), exercise.text[:8])
    assert ids_held(again) == before and again.ground == made.ground
    assert again.identity is players["bravo"].identity and again.card is players["bravo"].card


def test_a_realm_has_one_exercise_and_incidents_alone(players: Players, made: Node) -> None:
    played = spaces_of(made)
    for kind, reason in (
        ("exercise", "realm-taken"),
        ("note", "kind-not-allowed"),
        ("lab", "kind-not-allowed"),
    ):
        with pytest.raises(RefusedError) as refused:
            played.open(kind, "another", 1, [], players.now)
        assert refused.value.reason == reason
    with pytest.raises(RefusedError) as refused:
        spaces_of(players["alpha"]).open("exercise", "for real", 1, [], players.now)
    assert refused.value.reason == "wrong-realm"
    with pytest.raises(RefusedError) as refused:  # charlie does not play
        played.open("incident", "told outside", 1, [(players.id("charlie"), "")], players.now)
    assert refused.value.reason == "not-playing"


def test_an_incident_of_the_exercise_travels_and_stays_in_it(players: Players, made: Node) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    theirs = players.played("bravo", exercise)
    incident = spaces_of(theirs).open(
        "incident", "a ward is dark", 1, [(players.id("alpha"), "")], players.now
    )
    players.run(3)
    assert incident.entry_id in ids_held(made)
    spaces_of(made).join(incident.entry_id, players.now)
    players.run(3)
    assert ids_held(made) == ids_held(theirs)
    with pytest.raises(RefusedError) as refused:
        spaces_of(theirs).decide(
            incident.entry_id, "invite", Inviting(((players.id("charlie"), ""),)), players.now
        )
    assert refused.value.reason == "not-playing"
    assert all(ids_held(players[name]) == set() for name in ("alpha", "bravo", "charlie"))


def test_an_incident_of_who_has_not_joined_waits_until_it_has(tmp_path: Path) -> None:
    """Entries come in any order: the opening of an incident may be here before the join of its author."""
    players = Players(World(tmp_path), "alpha", "bravo", "charlie")
    made = players.exercise("alpha", "bravo", "charlie")
    exercise = made.ground.exercise
    assert exercise is not None
    theirs = players.played("bravo", exercise)
    opening = spaces_of(theirs).open("incident", "early", 1, [(players.id("charlie"), "")], players.now)
    reading = SpaceReading(theirs.store.database)
    row = reading.find(exercise)
    assert row is not None
    wires = [entry.wire for entry in reading.entries(row)]
    charlie = players["charlie"]  # has lost its file, and gets the opening of the incident before the join
    remove_exercise(charlie, players.played("charlie", exercise), players.now)
    SpaceStore(charlie.store.database).forget_purge(removed_mark(made.ground.realm))
    again = exercises_of(charlie).made(made.ground.realm)
    bravo = players.id("bravo")

    def status(*handed: bytes) -> list[str]:
        taken = spaces_of(again).take_in(handed, bravo, players.now)
        return [one.reason or one.status for one in (*taken.verdicts, *taken.freed)]

    assert status(wires[0]) == ["held"]
    assert status(opening.wire) == ["parents"]
    assert [one.space for one in spaces_of(again).invitations()] == [opening.entry_id]
    assert status(wires[1]) == ["held", "held"]
    assert opening.entry_id in ids_held(again)
    players.world.close()


@pytest.mark.parametrize(
    "case", ["no invitation", "in another circle", "no exercise", "of a stranger", "flipped"]
)
def test_an_unknown_realm_makes_no_file(players: Players, case: str) -> None:
    """Nothing but an opening of an exercise, or an invitation, that a partner signed and that names us."""
    charlie = players["charlie"]
    realm = Realm(bytes([9]) * 16)
    names = [(players.id("bravo" if case == "no invitation" else "charlie"), "")]
    if case == "of a stranger":
        stranger = players.world.found("stranger")
        names = [(players.id("charlie"), "")]
        made = make_exercise(stranger, "trap", 1, names, players.now, realm=realm)
    else:
        made = make_exercise(players["alpha"], "trap", 1, names, players.now, realm=realm)
    wire = next(SpaceReading(made.store.database).entries(SpaceReading(made.store.database).all()[0])).wire
    if case == "no exercise":
        key = players["alpha"].identity.operational.sign
        act = Opening(1, "incident", "trap", tuple(sorted(names)))
        draft = EntryDraft(realm, NO_SPACE, players.id("alpha"), 1, (), 1, players.now, "open", 1)
        wire = sign_entry(draft, act.encode(), key).wire
    if case == "flipped":
        wire = wire[:-1] + bytes([wire[-1] ^ 1])
    circle = CircleId.of("main") if case == "in another circle" else CircleId.of_realm(realm)
    before = players.refused("charlie")
    send_frames(players, "alpha", "charlie", [encode_exercise_entries(realm, [], [wire])], circle)
    reason = "wrong-circle" if case == "in another circle" else "unknown-realm"
    assert players.refused("charlie") - before == {reason: 1}
    assert open_exercises(charlie) == [] and list(realms_held(charlie.home)) == []
    owner = stranger if case == "of a stranger" else players["alpha"]
    remove_exercise(owner, made, players.now)
    SpaceStore(owner.store.database).forget_purge(removed_mark(realm))
    players.skip("alpha")


def test_what_is_played_in_the_payload_of_what_is_real_is_refused_and_counted(
    players: Players, made: Node
) -> None:
    wires = [
        entry.wire
        for row in [SpaceReading(made.store.database).all()[0]]
        for entry in SpaceReading(made.store.database).entries(row)
    ]
    before = players.refused("bravo")
    circle = CircleId.of_realm(made.ground.realm)
    send_frames(players, "alpha", "bravo", [encode_entry_frame([], wires[:2])], None, "entries")
    assert players.refused("bravo") - before == {"wrong-realm": 2}
    before = players.refused("bravo")
    for kind in ("entries", "stix"):
        send_frames(players, "alpha", "bravo", [encode_entry_frame([], wires[:2])], circle, kind)
    assert players.refused("bravo") - before == {"content-wrong-circle": 2}
    before = players.refused("bravo")
    frame = compress_frame(pack([bytes(16), 0, [[], wires[:1]]]))
    send_frames(players, "alpha", "bravo", [frame, b"no zstd"], circle)
    assert players.refused("bravo") - before == {"wrong-realm": 1, "bad-frame": 1}
    assert ids_held(players["bravo"]) == set()


def test_a_frame_of_an_unknown_realm_costs_a_few_signatures_at_most(
    players: Players, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand openings in it would be two signatures to verify, and the writer is everybody's."""
    realm, asked = Realm(bytes([11]) * 16), list[object]()
    monkeypatch.setattr(exercise_grounds, "verify_entry", _counting(asked))
    names = tuple(sorted([(players.id("charlie"), ""), (players.id("alpha"), "")]))
    act = Opening(1, "exercise", "trap", names).encode()
    key = players["alpha"].identity.operational.sign
    draft = EntryDraft(realm, NO_SPACE, players.id("alpha"), 1, (), 1, players.now, "open", 1)
    wire = sign_entry(draft, act, key).wire
    spoilt = [wire[:-1] + bytes([wire[-1] ^ 1])] * 300
    before = players.refused("charlie")
    send_frames(
        players, "alpha", "charlie", [encode_exercise_entries(realm, [], spoilt)], CircleId.of_realm(realm)
    )
    assert players.refused("charlie") - before == {"unknown-realm": 1}
    assert len(asked) == exercise_grounds.LOOKED_AT_MAX


def _counting(asked: list[object]) -> Callable[[DecodedEntry, VerifyKey], VerifiedEntry]:
    def verify(decoded: DecodedEntry, key: VerifyKey) -> VerifiedEntry:
        asked.append(decoded)
        return verify_entry(decoded, key)

    return verify


def test_what_the_real_store_did_not_keep_is_read_again_and_does_no_harm(
    players: Players, made: Node
) -> None:
    """Two files, two transactions: the exercise's is kept before the store's; where that one is undone the envelope is read anew."""
    exercise = made.ground.exercise
    assert exercise is not None
    theirs, bravo = players.played("bravo", exercise), players["bravo"]
    note(made, "kept twice", players.now)
    reading = SpaceReading(made.store.database)
    newest = list(reading.entries(reading.all()[0]))[-1]
    with pytest.raises(StoreError), bravo.store.transaction():
        exchange_of(theirs).entries_came(players.id("alpha"), [newest.wire], {}, players.now)
        raise StoreError("the disk failed")
    assert newest.entry_id in ids_held(theirs)
    before = players.refused("bravo")
    players.run(3)
    assert players.refused("bravo") == before and ids_held(theirs) == ids_held(made)


def test_one_partner_cannot_fill_a_node_with_exercises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exercise_grounds, "EXERCISES_PER_PARTNER_MAX", 1)
    players = Players(World(tmp_path), "alpha", "bravo")
    for title in ("first", "second"):
        make_exercise(players["alpha"], title, 1, [(players.id("bravo"), "")], players.now)
        players.run(2)
    assert len(open_exercises(players["bravo"])) == 1 and len(open_exercises(players["alpha"])) == 2
    assert players.refused("bravo") == {"later": 1}
    monkeypatch.setattr(exercise_grounds, "EXERCISES_HELD_MAX", 2)
    with pytest.raises(RefusedError) as refused:
        make_exercise(players["alpha"], "third", 1, [], players.now)
    assert refused.value.reason == "too-many-exercises" and len(list(realms_held(players["alpha"].home))) == 2
    players.world.close()


def test_an_exercise_has_no_more_of_the_disk_than_it_may(
    players: Players, made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    theirs, before = players.played("bravo", exercise), players.refused("bravo")
    held = ids_held(theirs)
    note(made, "one too many", players.now)
    monkeypatch.setattr(spaces, "EXERCISE_BYTES_MAX", 1_000)
    players.run(1)
    assert players.refused("bravo") - before == {"exercise-full": 1} and ids_held(theirs) == held
    with pytest.raises(RefusedError) as refused:
        note(theirs, "another", players.now)
    assert refused.value.reason == "exercise-full"
    monkeypatch.undo()
    players.run(70)  # by heads
    assert ids_held(theirs) == ids_held(made)


def test_a_damaged_file_keeps_nothing_else_from_going_on(tmp_path: Path) -> None:
    players = Players(World(tmp_path), "alpha", "bravo")
    made = players.exercise("alpha", "bravo")
    other = make_exercise(players["alpha"], "other", 1, [], players.now)
    assert other.ground.exercise is not None
    players.world.close()
    exercise_path(made.home, made.ground.realm).write_bytes(b"no database at all" * 1_000)
    world = World(tmp_path)
    alpha = world.open("alpha")
    assert [one.ground for one in open_exercises(alpha)] == [other.ground]
    assert [one.realm for one in exercises_of(alpha).damaged] == [made.ground.realm]
    removal = remove_damaged(alpha, made.ground.realm, players.now)
    assert removal.deleted and not removal.left and exercises_of(alpha).damaged == []
    world.close()


def test_a_removed_exercise_is_gone_and_does_not_come_again(tmp_path: Path) -> None:
    players = Players(World(tmp_path), "alpha", "bravo")
    made = players.exercise("alpha", "bravo")
    exercise = made.ground.exercise
    assert exercise is not None
    note(made, "the ward is dark", players.now)
    players.run(2)
    bravo, theirs = players["bravo"], players.played("bravo", exercise)
    removal = remove_exercise(bravo, theirs, players.now)
    assert removal.exercise == exercise and removal.entries == 3 and removal.left == ()
    assert removal.deleted[0] == exercise_path(bravo.home, made.ground.realm).name
    assert list((bravo.home / "exercises").iterdir()) == [], "and nothing stands beside it"
    with pytest.raises(NotFoundError):
        exercise_named(bravo, exercise.text)
    note(made, "and darker", players.now)
    players.run(130)
    assert open_exercises(bravo) == [] and list(realms_held(bravo.home)) == []
    assert set(players.refused("bravo")) <= {"not-a-member"}
    # a crash between the mark and the file: the next start ends what was begun
    open_exercise_node(bravo, made.ground.realm).store.close()
    assert list(realms_held(bravo.home)) == [made.ground.realm]
    assert open_exercises(players.reopen("bravo")) == [] and list(realms_held(bravo.home)) == []
    players.world.close()


def test_a_file_that_cannot_be_deleted_is_named_and_keeps_nothing_else_from_going_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    players = Players(world, "alpha")
    stuck, other = players.exercise("alpha"), players.exercise("alpha")
    alpha, realm = players["alpha"], stuck.ground.realm
    blocks = exercise_path(alpha.home, realm).with_name(f"{realm.hex()}.sqlite-journal")
    blocks.mkdir()  # nothing unlinks a folder
    with pytest.raises(StoreError):
        remove_exercise(alpha, stuck, players.now)
    for find in (lambda: alpha, lambda: players.reopen("alpha")):
        node = find()
        assert [one.realm for one in exercises_of(node).damaged] == [realm]
        assert [one.ground.realm for one in open_exercises(node)] == [other.ground.realm]
        with pytest.raises(StoreError):
            remove_damaged(node, realm, players.now)
        assert exercises_of(node).damaged, "it is named as long as it is there"
    blocks.rmdir()
    assert remove_damaged(players["alpha"], realm, players.now).left == ()
    assert not exercises_of(players["alpha"]).damaged
    world.close()
