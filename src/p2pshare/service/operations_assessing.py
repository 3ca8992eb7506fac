"""The operations behind `sight`, `opinion` and `propose`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.intel.assessing import (
    Proposal,
    false_positive_object,
    opinion_object,
    proposal_object,
    sighting_object,
)
from p2pshare.intel.instants import parse_instant
from p2pshare.limits import ASSESSMENT_TEXT_CHARACTERS_MAX, SIGHTING_COUNT_MAX
from p2pshare.node.node import Node
from p2pshare.service.arguments import Arguments, Progress, argument, names
from p2pshare.service.assessing import proposals, say


def _say(node: Node, arguments: Arguments, write: Callable[..., bytes]) -> dict[str, Any]:
    """An assessment; `write` takes what is the same for each of its objects as keywords."""
    now, reporter = int(time.time()), node.identity.partner_id
    said = say(
        node,
        argument(arguments, "what", str),
        lambda target, tlp: write(target, reporter=reporter, now=now, tlp=tlp),
        names=names(arguments, "to"),
        ttl=node.config.ttl,
        now=now,
    )
    return said.to_json()


def sight(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    if argument(arguments, "false_positive", bool, False):
        return _say(node, arguments, false_positive_object)
    count = argument(arguments, "count", int, 1)
    if not 0 <= count <= SIGHTING_COUNT_MAX:
        raise AuthorError(
            "not a count of sightings", hint=f"0 to {SIGHTING_COUNT_MAX}", reason="bad-argument"
        )
    return _say(node, arguments, partial(sighting_object, count=count))


def opine(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    opinion = argument(arguments, "opinion", str)
    if opinion not in ("agree", "disagree"):
        raise AuthorError("an opinion is agree or disagree", reason="bad-argument")
    return _say(node, arguments, partial(opinion_object, opinion=opinion, text=_text(arguments, "note")))


def propose(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    confidence = argument(arguments, "confidence", int, -1)
    if not -1 <= confidence <= 100:
        raise AuthorError("not a confidence", hint="0 to 100", reason="bad-argument")
    valid_until = argument(arguments, "valid_until", str, "")
    if valid_until:
        _require_instant(valid_until)
    proposal = Proposal(
        confidence=None if confidence < 0 else confidence,
        valid_until=valid_until or None,
        labels=tuple(names(arguments, "labels")),
        note=_text(arguments, "note"),
    )
    if not proposal.to_json():
        raise AuthorError(
            "nothing is proposed", hint="give what should change, or a note", reason="bad-argument"
        )
    return _say(node, arguments, lambda target, **more: proposal_object(target, proposal, **more))


def _require_instant(text: str) -> None:
    try:
        parse_instant(text)
    except ValueError:
        raise AuthorError(
            "not an instant", hint="as in 2027-01-31T00:00:00Z", reason="bad-timestamp"
        ) from None


def _text(arguments: Arguments, name: str) -> str:
    text = argument(arguments, name, str, "")
    if len(text) > ASSESSMENT_TEXT_CHARACTERS_MAX:
        raise AuthorError(
            f"the {name} is longer than {ASSESSMENT_TEXT_CHARACTERS_MAX} characters",
            hint="say it shorter, or put it into a report",
            reason="bad-argument",
        )
    return text


def list_proposals(node: Node, arguments: Arguments, progress: Progress) -> dict[str, Any]:
    return {"proposals": proposals(node)}
