"""Signatures of playbooks: OASIS's own example to the byte, ours, and every way in which one is not good."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.jss import (
    JSS_BYTES_MAX,
    JssChecker,
    PlaybookKey,
    check_jss,
    sign_playbook,
    signed_digest,
)
from p2pshare.errors import AuthorError

WHO = {
    "jss_id": "jss--00000001-0000-4000-8000-000000000000",
    "created_by": "identity--00000001-0000-4000-8000-000000000000",
    "signee": "Hospital A",
    "at": "2026-11-30T08:00:00.000Z",
}


@pytest.fixture(scope="module")
def vectors(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((repository / "tests" / "vectors" / "jss.json").read_text())
    return loaded


def without(signature: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in signature.items() if name not in names}


@pytest.mark.parametrize("name", ["oasis", "ed25519"])
def test_a_vector_has_its_digest_and_verifies_whatever_other_signatures_stand_beside(
    name: str, vectors: dict[str, Any]
) -> None:
    vector = vectors[name]
    playbook = vector["playbook"]
    for number, signature in enumerate(playbook["signatures"]):
        if number in vector["good"]:
            assert signed_digest(playbook, without(signature, "value")) == vector["digest"]
            check_jss(playbook, signature)
        else:
            with pytest.raises(AuthorError, match="public key"):
                check_jss(playbook, signature)


def test_our_vector_is_what_we_sign_today(vectors: dict[str, Any]) -> None:
    vector = vectors["ed25519"]
    key = PlaybookKey(Secret(bytes.fromhex(vector["seed"])))
    assert [sign_playbook(vector["playbook"], key, **WHO)] == vector["playbook"]["signatures"]


def test_a_signature_is_over_the_hexadecimal_text_and_not_over_the_digest(vectors: dict[str, Any]) -> None:
    playbook = vectors["ed25519"]["playbook"]
    [signature] = playbook["signatures"]
    key = PlaybookKey(Secret(bytes.fromhex(vectors["ed25519"]["seed"])))
    raw_digest = bytes.fromhex(vectors["ed25519"]["digest"])
    with pytest.raises(AuthorError, match="does not fit"):
        check_jss(playbook, signature | {"value": key.sign(raw_digest)})


@pytest.mark.parametrize(
    "others", [{}, {"a": 1}, {"z": [1]}, {"signature": 1, "signatures2": 2, "\U0001f600": 3, "\uffff": 4}]
)
def test_a_checker_of_many_signatures_has_the_digest_of_one(others: dict[str, Any]) -> None:
    playbook = others | {"signatures": ["whatever"]}
    for jss in ({"type": "jss"}, {"type": "jss", "created": "é"}):
        assert JssChecker(playbook).digest(jss) == signed_digest(playbook, jss)


def test_a_key_comes_back_from_its_seed_and_shows_it_to_nobody() -> None:
    key = PlaybookKey.generate()
    assert PlaybookKey(key.secret()) == key != PlaybookKey.generate()
    assert key.secret().reveal().hex() not in repr(key)


LOW_ORDER = bytes.fromhex("302a300506032b6570032100") + b"\x01" + bytes(31)
CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another playbook": lambda one: one | {"related_to": "playbook--00000009-0000-4000-8000-000000000000"},
    "another version": lambda one: one | {"related_version": "2026-01-01T00:00:00.000Z"},
    "another signee": lambda one: one | {"signee": "Hospital B"},
    "another property": lambda one: one | {"valid_until": "2030-01-01T00:00:00.000Z"},
    "no value": lambda one: without(one, "value"),
    "a value of another type": lambda one: one | {"value": 7},
    "another type": lambda one: one | {"type": "signature"},
    "revoked": lambda one: one | {"revoked": True},
    "another hash": lambda one: one | {"hash_algorithm": "sha-512"},
    "another algorithm": lambda one: one | {"algorithm": "RS256"},
    "an algorithm nobody reads": lambda one: one | {"algorithm": "HS256"},
    "no key": lambda one: one | {"public_key": "some public key"},
    "a key anybody signs under": lambda one: one | {"public_key": b64encode(LOW_ORDER).decode()},
    "no base64url": lambda one: one | {"value": "*" * 86},
    "standard base64": lambda one: one | {"value": "+/" + one["value"][2:]},
    "bits behind the end": lambda one: one | {"value": one["value"][:-1] + chr(ord(one["value"][-1]) + 1)},
    "too large": lambda one: one | {"note": "x" * JSS_BYTES_MAX},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_signature_that_was_changed_is_refused_as_bad_jss(name: str, vectors: dict[str, Any]) -> None:
    playbook = vectors["ed25519"]["playbook"]
    [signature] = playbook["signatures"]
    with pytest.raises(AuthorError) as refused:
        check_jss(playbook, CHANGES[name](signature))
    assert refused.value.reason == "bad-jss"


def test_one_character_of_the_playbook_voids_its_signature(vectors: dict[str, Any]) -> None:
    playbook = vectors["ed25519"]["playbook"]
    [signature] = playbook["signatures"]
    with pytest.raises(AuthorError, match="does not fit"):
        check_jss(playbook | {"name": "Playbook 2"}, signature)
