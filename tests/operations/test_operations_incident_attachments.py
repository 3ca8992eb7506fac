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
    exchange_of(case.alpha).say_whole(
        EntryId.parse(case.id), whole, 1, NOW
    )  # a member whose program does not ask
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
