"""No echo, with real daemons: what comes in goes to MISP, MISP's export is published again, and nobody is counted twice."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from misp_loop import with_other_uuids

if TYPE_CHECKING:
    from conftest import Company, Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
MISTAKE = ("--reason", "mistake", "--yes")
ROUNDS = 50


def published_again(partner: Partner, raw: bytes, *arguments: str, code: int = 0) -> Any:
    return partner.cli_json(
        "publish", "-", "--format", "misp", *arguments, "--yes", "--json", stdin=raw, code=code
    )


def misp_of(partner: Partner, *values: str) -> bytes:
    """The events of the partner's MISP with these values, all that came in from the federation."""
    found = json.loads(partner.cli("export", "--format", "misp").out)
    for one in found["response"]:
        event = one["Event"]
        event["Attribute"] = [
            attribute for attribute in event["Attribute"] if not values or attribute["value"] in values
        ]
    found["response"] = [one for one in found["response"] if one["Event"]["Attribute"]]
    return json.dumps(found).encode()


def indicator(partner: Partner, value: str) -> tuple[int, int] | None:
    """(active, sources) of a value at a partner's SIEM."""
    rows = partner.query(f"SELECT active, sources FROM v1_indicators WHERE value = '{value}'")
    return (rows[0][0], rows[0][1]) if rows else None


def claims(partner: Partner, value: str) -> int:
    [(count,)] = partner.query(f"SELECT count(*) FROM v1_claims WHERE value = '{value}'")
    return int(count)


def test_a_round_through_misp_sends_nothing(chain: Chain) -> None:
    alpha, bravo, _ = chain
    values = [f"round{number}.example" for number in range(30)]
    alpha.publish("\n".join(values))
    bravo.wait_for(*values)
    raw = misp_of(bravo, *values)
    for again in (raw, with_other_uuids(raw)):
        preview = published_again(bravo, again, "--dry-run")
        done = published_again(bravo, again)
        assert done == preview
        assert (done["read"], done["published"], done["envelopes"]) == (31, 0, [])
        assert done["held"] == [{"author": "alpha", "count": 31}]
    said = bravo.cli("publish", "-", "--format", "misp", "--yes", stdin=raw)
    assert said.out == ""
    assert "already shared: 31 objects by alpha" in said.err
    assert "nothing to publish: all that was read is shared already" in said.err


def test_what_is_refused_beside_what_is_held_is_partly_done(chain: Chain) -> None:
    value = "held-beside.example"
    alpha, bravo, _ = chain
    alpha.publish(value)
    bravo.wait_for(value)
    found = json.loads(misp_of(bravo, value))
    attributes = found["response"][0]["Event"]["Attribute"]
    attributes.append(attributes[0] | {"uuid": str(uuid.uuid4()), "value": "no domain", "comment": ""})
    done = published_again(bravo, json.dumps(found).encode(), code=6)
    assert (done["published"], done["held"]) == (0, [{"author": "alpha", "count": 2}])
    assert sum(one["count"] for one in done["refused"]) == 1
    assert done["read"] == 3


def test_what_is_passed_on_is_one_source_and_falls_with_its_origin(
    chain: Chain, eventually: Eventually
) -> None:
    value = "passed-on.example"
    alpha, bravo, _ = chain
    alpha.publish(value)
    bravo.wait_for(value)
    kept = misp_of(bravo, value)
    done = published_again(bravo, kept, "--restate")
    assert done["published"] == 1
    for one in chain:
        eventually(lambda one=one: claims(one, value) == 2, f"{one.name} has both")
        assert indicator(one, value) == (1, 1)
    alpha.cli("withdraw", value, *MISTAKE)
    for one in chain:
        eventually(lambda one=one: indicator(one, value) == (0, 1), f"{one.name} has the withdrawal")
    for again in (kept, with_other_uuids(kept)):  # MISP still has it, and does not bring it back
        done = published_again(bravo, again)
        assert (done["envelopes"], done["held"]) == ([], [{"author": "alpha", "count": 2}])
        assert "author-withdrew" in [one["reason"] for one in done["notes"]]


def test_a_finding_of_our_own_stands_when_the_other_is_withdrawn_and_we_are_told(
    chain: Chain, eventually: Eventually
) -> None:
    value = "found-by-both.example"
    alpha, bravo, _ = chain
    alpha.publish(value)
    bravo.wait_for(value)
    raw = misp_of(bravo, value)
    done = published_again(bravo, raw, "--as-own")
    assert len(done["envelopes"]) == 1
    for one in chain:
        eventually(lambda one=one: indicator(one, value) == (1, 2), f"{one.name} has both")
    assert published_again(bravo, raw, "--as-own")["envelopes"] == []  # said before
    assert published_again(bravo, raw)["envelopes"] == []
    alpha.cli("withdraw", value, *MISTAKE)
    for one in chain:
        eventually(lambda one=one: indicator(one, value) == (1, 1), f"{one.name} has the withdrawal")
    [told] = [one for one in bravo.status()["withdrawn_beside"] if one["author"] == "alpha"]
    assert told["reason"] == "mistake"
    assert f"alpha took back {told['object_id']}, which you stated as your own finding, too" in bravo.cli("status").out  # fmt: skip
    assert alpha.status()["withdrawn_beside"] == []
    bravo.cli("withdraw", value, *MISTAKE)
    eventually(lambda: bravo.status()["withdrawn_beside"] == [], "nothing of ours stands beside it")


def test_two_independent_findings_are_two_sources(chain: Chain, eventually: Eventually) -> None:
    value = "seen-twice.example"
    alpha, _, charlie = chain
    alpha.publish(value)
    charlie.publish(value)
    for one in chain:
        eventually(lambda one=one: indicator(one, value) == (1, 2), f"{one.name} has both")


def test_what_may_not_be_passed_on_is_refused(chain: Chain) -> None:
    value = "for-bravo-alone.example"
    alpha, bravo, _ = chain
    alpha.publish(value, "--tlp", "amber+strict", "--to", "bravo")
    bravo.wait_for(value)
    raw = misp_of(bravo, value)
    for option in ("--restate", "--as-own"):
        arguments = ("-", "--format", "misp", "--tlp", "amber+strict", "--to", "alpha", option, "--yes")
        said = bravo.cli("publish", *arguments, stdin=raw, code=5)
        assert "not-ours-to-share" in said.err
    bravo.cli("publish", "-", "--restate", "--as-own", "--yes", stdin=raw, code=2)
    bravo.cli("publish", "-", "--affirm", "--yes", stdin=raw, code=2)


def test_who_stands_for_what_its_author_took_back_makes_it_active_again(
    chain: Chain, eventually: Eventually
) -> None:
    value = "affirmed.example"
    alpha, bravo, _ = chain
    alpha.publish(value)
    bravo.wait_for(value)
    raw = misp_of(bravo, value)
    published_again(bravo, raw, "--restate")
    alpha.cli("withdraw", value, *MISTAKE)
    for one in chain:
        eventually(lambda one=one: (indicator(one, value) or (1,))[0] == 0, f"{one.name} has all")
    refused = bravo.cli("publish", "-", "--format", "misp", "--restate", "--yes", stdin=raw, code=5)
    assert "refused: 1 origin-withdrawn" in refused.err
    assert "--affirm" in refused.err
    published_again(bravo, raw, "--restate", "--affirm")
    for one in chain:
        eventually(lambda one=one: (indicator(one, value) or (0,))[0] == 1, f"{one.name} has bravo's word")


def test_fifty_rounds_of_three_misps_send_nothing(company: Company, eventually: Eventually) -> None:
    chain = company.chain()
    for one in chain:
        one.publish(f"{one.name}1.example\n{one.name}2.example\n")
    values = {f"{one.name}{number}.example" for one in chain for number in (1, 2)}
    for one in chain:
        one.wait_for(*values)
    before = [one.status()["envelopes"]["held"] for one in chain]
    for number in range(ROUNDS):
        for one in chain:
            raw = misp_of(one)
            if number % 2:
                raw = with_other_uuids(raw)
            done = published_again(one, raw)
            assert (done["published"], done["envelopes"]) == (0, [])
            assert sum(held["count"] for held in done["held"]) == done["read"] == 9
    assert [one.status()["envelopes"]["held"] for one in chain] == before
    for one in chain:
        assert [indicator(one, value) for value in sorted(values)] == [(1, 1)] * 6
