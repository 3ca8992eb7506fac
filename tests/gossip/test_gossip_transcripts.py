"""The recorded conversations of tests/vectors/gossip: still what the engines say, and what the pages describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gossip_transcripts import SCENES, write_down
from plain_negentropy import PlainResponder

from p2pshare.gossip import messages

DECODERS = {
    "POST /v1/hello": (messages.decode_hello, messages.decode_hello),
    "POST /v1/announce": (messages.decode_announce, messages.decode_announce_answer),
    "POST /v1/poll": (messages.decode_poll, messages.decode_poll_answer),
    "POST /v1/sync": (messages.decode_sync, messages.decode_sync_answer),
    "POST /v1/get": (messages.decode_get_bodies, None),
}


@pytest.fixture
def scene(request: pytest.FixtureRequest, repository: Path) -> Any:
    return json.loads((repository / "tests" / "vectors" / "gossip" / f"{request.param}.json").read_text())


def lines(scene: Any, verb: str) -> list[Any]:
    return [line for line in scene["said"] if line["verb"] == verb]


@pytest.mark.parametrize("name", SCENES)
def test_the_engines_still_say_every_byte_of_it(name: str, repository: Path) -> None:
    kept = json.loads((repository / "tests" / "vectors" / "gossip" / f"{name}.json").read_text())
    assert write_down(name) == kept


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_each_message_of_it_is_one_of_the_page(scene: Any) -> None:
    for line in scene["said"]:
        decode, decode_answer = DECODERS.get(line["verb"], (None, messages.decode_put_answer))
        if decode is not None:
            decode(bytes.fromhex(line["request"]))
        if decode_answer is not None and "answer" in line:
            decode_answer(bytes.fromhex(line["answer"]))
    assert len(set(scene["holds_at_the_end"].values())) == 1


@pytest.mark.parametrize("scene", ["in-sync"], indirect=True)
def test_being_in_sync_costs_hellos_and_nothing_else(scene: Any) -> None:
    assert {line["verb"] for line in scene["said"]} == {"POST /v1/hello"}


@pytest.mark.parametrize("scene", ["first-contact", "differences-both-ways"], indirect=True)
def test_a_second_implementation_answers_the_first_question_with_the_same_bytes(scene: Any) -> None:
    """From what the answering partner holds, as the vector says."""
    asked = lines(scene, "POST /v1/sync")[0]
    (part,) = messages.decode_sync(bytes.fromhex(asked["request"])).parts
    (told,) = messages.decode_sync_answer(bytes.fromhex(asked["answer"])).parts
    held = scene["holds_at_first"].get(asked["to"], [])
    responder = PlainResponder([(created, bytes.fromhex(one)) for created, one in held], 256 * 1024)
    assert responder.respond(part.message) == told.message
