"""Withdrawals: objects by which an author takes an object of its own back, made and read. Pure.

A withdrawal is an object type of our extension (STIX 2.1 section 7.3), so that a program that does not know it carries
it on. STIX's own `revoked: true` is another way to say "no longer", but it is a version: it repeats the object, which
the withdrawal of something that should never have left must not, and it has neither reason nor successor.

It states its reach in two ways that do not depend on each other (docs/decisions/0035):

1. everything its author sealed up to a place in its chain, `up_to_incarnation` and `up_to_sequence`;
2. every version whose `modified` is not later than `up_to`, whenever it was sealed.

So the same withdrawal means the same whichever envelope brings it, and two of one target together reach as far
as the further of each. It cannot be taken back; a version that is newer by both counts is a new statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeGuard
from uuid import uuid5

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE, identity_id, named_id
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import CHAIN_NUMBER_MAX

WITHDRAWAL = "p2pshare-withdrawal"
EXTENSION = f"extension-definition--{uuid5(NAMESPACE, 'extension:withdrawal')}"


class Reason(StrEnum):
    """Reason for a withdrawal. UNKNOWN is never written: it stands for a reason of a later version of this program."""

    FALSE_POSITIVE = "false-positive"
    SUPERSEDED = "superseded"
    MISTAKE = "mistake"
    EXPIRED = "expired"
    LEGAL = "legal"
    UNKNOWN = "unknown"

    @classmethod
    def parse(cls, text: str) -> Reason:
        """Returns a reason that may be written. Raises AuthorError bad-reason."""
        if text not in REASONS:
            raise AuthorError(
                "that is no reason for a withdrawal",
                hint=f"one of {', '.join(REASONS)}",
                reason="bad-reason",
            )
        return cls(text)


REASONS = tuple(reason.value for reason in Reason if reason is not Reason.UNKNOWN)


class WithdrawalFacts(msgspec.Struct, frozen=True, gc=False):
    """Content of one withdrawal. `up_to_us` in microseconds since 1970, None where the target has no `modified`."""

    target: str
    incarnation: int
    sequence: int
    up_to_us: int | None
    reason: Reason
    replaced_by: str | None


def read_withdrawal(stix: Mapping[str, Any]) -> WithdrawalFacts | None:
    """Returns the content of a checked object of type WITHDRAWAL; None when it cannot be read. Never raises."""
    target, replaced_by = stix.get("object_ref"), stix.get("replaced_by_ref")
    incarnation, sequence = stix.get("up_to_incarnation"), stix.get("up_to_sequence")
    reason, up_to = stix.get("reason"), stix.get("up_to")
    if (
        not isinstance(target, str)
        or not is_id(target)
        or not (_is_number(incarnation) and _is_number(sequence))
    ):
        return None
    if not isinstance(reason, str) or not (replaced_by is None or is_id(replaced_by)):
        return None
    try:
        up_to_us = None if up_to is None else parse_instant(up_to)
    except (TypeError, ValueError):
        return None
    known = Reason(reason) if reason in REASONS else Reason.UNKNOWN
    return WithdrawalFacts(target, incarnation, sequence, up_to_us, known, replaced_by)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= CHAIN_NUMBER_MAX


def withdrawal_id(author: PartnerId, target: str, tlp: Tlp) -> str:
    """Returns the id of `author`'s withdrawal of `target` for readers of one marking; withdrawing again is
    its next version."""
    return f"{WITHDRAWAL}--{named_id(f'withdrawal:{author.text}:{target}:{tlp.label}')}"


def withdrawal_object(facts: WithdrawalFacts, *, author: PartnerId, now: int, tlp: Tlp) -> bytes:
    """Returns the object by which `author` takes `facts.target` back, as JSON. `now` in unix seconds."""
    instant = format_instant(now * SECOND_US)
    stix: dict[str, Any] = {
        "type": WITHDRAWAL,
        "spec_version": "2.1",
        "id": withdrawal_id(author, facts.target, tlp),
        "created_by_ref": identity_id(author),
        "created": instant,
        "modified": instant,
        "object_ref": facts.target,
        "up_to_incarnation": facts.incarnation,
        "up_to_sequence": facts.sequence,
        "reason": facts.reason.value,
        "object_marking_refs": [TLP2_IDS[tlp]],
        "extensions": {EXTENSION: {"extension_type": "new-sdo"}},
    }
    if facts.up_to_us is not None:
        stix["up_to"] = format_instant(facts.up_to_us)
    if facts.replaced_by is not None:
        stix["replaced_by_ref"] = facts.replaced_by
    return msgspec.json.encode(stix)
