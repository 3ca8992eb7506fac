"""A file that is attached arrives whole or is missing; malware is told by its hash alone, and nobody's false part keeps the good ones out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from shared_spaces import hand_over, held, id_of, partners, run
from whole_nodes import NOW, World, send

from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.operations.incident_attachments import AttachFile, attached
from p2pshare.operations.incidents import OpenIncident, SayInIncident, ShowIncident
from p2pshare.operations.space_entries import RedactEntry
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.spaces.incident_entries import IncidentObject, encode_incident
from p2pshare.spaces.incident_telling import ATTACHMENT
from p2pshare.spaces.parts import ContentPart, split
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.writing import SpaceStatement

WHOLE = b"log line\n" * 60_000  # three parts


class Case:
    def __init__(self, alpha: Node, bravo: Node) -> None:
        self.alpha, self.bravo = alpha, bravo
        self.id = run(alpha, OpenIncident("Case", (), Tlp.GREEN, ("bravo",))).incident
        hand_over(self.id, alpha, bravo)
        run(bravo, JoinSpace(self.id))
        hand_over(self.id, bravo, alpha)

    def name(self, whole: bytes) -> str:
        digest = hashlib.sha256(whole).hexdigest()
        run(
            self.alpha,
            SayInIncident(
                self.id, "object", encode_incident(IncidentObject(ATTACHMENT, digest, "proxy.log", b""))
            ),
        )
        return digest

    def badges(self, node: Node) -> list[str]:
        import json

        shown = json.loads(run(node, ShowIncident(self.id)).shown)
        return [badge for one in shown["timeline"] if one["kind"] == "object" for badge in one["badges"]]


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    world = World(tmp_path_factory.mktemp("attachments"))
    yield Case(*partners(world, "alpha", "bravo"))
    world.close()


def test_it_is_missing_until_all_parts_are_held_and_then_byte_for_byte(case: Case) -> None:
    parts = split(WHOLE)
    assert len(parts) == 3
    digest = case.name(WHOLE)
    row = EntryId.parse(case.id)
    false = ContentPart(parts[0].digest, 1, 3, b"not this").encode()
    spaces_of(case.bravo).say(
        row, SpaceStatement("part", false, 1), NOW
    )  # a member's part that is none of it
    for part in parts[:2]:
        spaces_of(case.alpha).say(row, SpaceStatement("part", part.encode(), 1), NOW)
    hand_over(case.id, case.alpha, case.bravo)
    assert "content-missing" in case.badges(case.bravo)
    with pytest.raises(NotFoundError) as missing:
        attached(case.bravo, case.id, digest[:10])
    assert missing.value.reason == "content-missing"
    done = run(case.alpha, AttachFile(case.id, "proxy.log", WHOLE))
    assert done.sha256 == digest
    before = len(held(case.alpha, case.id))
    run(case.alpha, AttachFile(case.id, "again.log", WHOLE))
    assert len(held(case.alpha, case.id)) == before + 1, "its parts are not written twice"
    hand_over(case.id, case.alpha, case.bravo)
    assert case.badges(case.bravo) == []
    assert attached(case.bravo, case.id, digest[:10]) == WHOLE


@pytest.mark.parametrize(
    "whole", [b"MZ" + bytes(60), b"\x7fELF" + bytes(60), b"#!/bin/sh\n"], ids=["windows", "elf", "script"]
)
def test_a_program_is_neither_attached_nor_written_out(case: Case, whole: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        run(case.alpha, AttachFile(case.id, "harmless.txt", whole))
    assert refused.value.reason == "malware"
    for _ in exchange_of(case.alpha).saying_whole(EntryId.parse(case.id), whole, 1, NOW):
        pass  # a member whose program does not ask
    digest = case.name(whole)
    hand_over(case.id, case.alpha, case.bravo)
    with pytest.raises(RefusedError):
        attached(case.bravo, case.id, digest)


def test_what_a_partner_claims_by_its_hash_is_not_attached(case: Case) -> None:
    send(case.alpha, [hashlib.sha256(WHOLE).hexdigest()], to=["bravo"])
    with pytest.raises(RefusedError):
        run(case.alpha, AttachFile(case.id, "proxy.log", WHOLE))


def test_what_is_sealed_for_a_few_is_attached_for_them_alone(case: Case) -> None:
    with pytest.raises(AuthorError) as refused:
        run(case.alpha, AttachFile(case.id, "red.log", b"for bravo", Tlp.RED))
    assert refused.value.reason == "names-needed"
    run(case.alpha, AttachFile(case.id, "red.log", b"for bravo", Tlp.RED, ("bravo",)))
    sealed = [one.header for one in held(case.alpha, case.id) if one.header.kind in ("part", "object")]
    assert len(sealed) == 2 and all(
        set(one.audience) == {id_of(case.alpha), id_of(case.bravo)} for one in sealed
    )


def bodies(node: Node, space: str) -> list[tuple[int, bool]]:
    """Of each part, its number, and whether its body is held."""
    return [(one.header.number, one.body_fits()) for one in held(node, space) if one.header.kind == "part"]


def on_disk(node: Node, text: bytes) -> bool:
    """Whether a text stands in the store's file, or in its log."""
    path = node.store.database.path
    files = (path, path.with_name(path.name + "-wal"))
    return any(text in file.read_bytes() for file in files if file.exists())


def test_the_parts_of_a_redacted_attachment_leave_store_and_log_of_all_who_obey(case: Case) -> None:
    mark = b"GET /the-password-is-in-here"
    whole = (mark + b"\n") * 10_000
    kept = run(case.alpha, AttachFile(case.id, "other.log", b"a file that stays"))
    done = run(case.alpha, AttachFile(case.id, "proxy.log", whole))
    hand_over(case.id, case.alpha, case.bravo)
    assert all(on_disk(node, mark) for node in (case.alpha, case.bravo))
    run(case.alpha, RedactEntry(case.id, done.entry))
    before = bodies(case.alpha, case.id)
    assert [is_held for _, is_held in before] == [True, False, False], "at once where it is said"
    assert not on_disk(case.alpha, mark)
    hand_over(case.id, case.alpha, case.bravo, now=NOW + 5)
    assert bodies(case.bravo, case.id) == before and not on_disk(case.bravo, mark)
    assert attached(case.bravo, case.id, kept.sha256) == b"a file that stays"
    with pytest.raises(NotFoundError):
        attached(case.bravo, case.id, done.sha256)
    again = run(case.alpha, AttachFile(case.id, "proxy.log", whole))
    hand_over(case.id, case.alpha, case.bravo)
    assert attached(case.bravo, case.id, again.entry) == whole, "what was redacted can be said again"


def test_no_copy_of_a_redacted_part_comes_back(case: Case) -> None:
    done = run(case.alpha, AttachFile(case.id, "proxy.log", WHOLE))
    wires = [one.wire for one in held(case.alpha, case.id)]
    hand_over(case.id, case.alpha, case.bravo)
    run(case.alpha, RedactEntry(case.id, done.entry))
    hand_over(case.id, case.alpha, case.bravo, now=NOW + 5)
    exchange = exchange_of(case.bravo)
    exchange.entries_came(id_of(case.alpha), wires, {}, NOW + 9)
    while exchange.spaces.go_on(NOW + 9):
        pass
    assert [is_held for _, is_held in bodies(case.bravo, case.id)] == [False] * 3
    view = exchange._view_of(EntryId.parse(case.id))
    assert view is not None
    lacking = [one for one in view.fold.graph.vertices if not one.has_body and not view.fold.is_redacted(one)]
    assert lacking == [], "nor is it asked for"


def test_an_attachment_that_was_broken_off_names_nothing_and_is_attached_anew(case: Case) -> None:
    steps = AttachFile(case.id, "proxy.log", WHOLE).steps(case.alpha, NOW)
    assert [next(steps) for _ in range(3)] == [None] * 3
    steps.close()  # the daemon was killed here
    hand_over(case.id, case.alpha, case.bravo)
    assert case.badges(case.bravo) == [] and len(bodies(case.bravo, case.id)) == 2
    done = run(case.alpha, AttachFile(case.id, "proxy.log", WHOLE))
    hand_over(case.id, case.alpha, case.bravo)
    assert attached(case.bravo, case.id, done.entry) == WHOLE
    run(case.alpha, RedactEntry(case.id, done.entry))
    assert [is_held for _, is_held in bodies(case.alpha, case.id)][-3:] == [False] * 3


def test_a_space_without_room_for_all_parts_gets_none(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pshare.spaces.spaces.SPACE_BODIES_BYTES_MAX", 300_000)
    with pytest.raises(RefusedError) as refused:
        run(case.alpha, AttachFile(case.id, "proxy.log", WHOLE))
    assert refused.value.reason == "space-full" and bodies(case.alpha, case.id) == []
