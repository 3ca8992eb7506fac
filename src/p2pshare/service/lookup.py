"""Lookup: what is known about a value, by whom, and whether it counts now. Analysts see every marking they hold.

Values come as people write them (defanged, upper case, a hash, an address); each is canonicalised with the same
code as what was published, so the same thing is found under any spelling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import format_instant
from p2pshare.intel.observable import Observable, detect
from p2pshare.store.interface import ClaimRow, Store

LOOKUP_BATCH_VALUES = 1_000  # values asked of the store at once: bounds memory, amortises the query
US = 1_000_000  # microseconds in a second


def look_up(store: Store, values: Sequence[str], now: int) -> list[dict[str, Any]]:
    """One answer a value, in order: `{value, type, found, active, authors, claims}`; `now` in unix seconds.

    A text that is nothing we know has type None, and the `reason` why.
    """
    names = store.author_names()
    answers: list[dict[str, Any]] = []
    for start in range(0, len(values), LOOKUP_BATCH_VALUES):
        batch = values[start : start + LOOKUP_BATCH_VALUES]
        recognised = [_recognise(text) for text in batch]
        found = store.lookup([one for one in recognised if isinstance(one, Observable)])
        for text, one in zip(batch, recognised, strict=True):
            if isinstance(one, Observable):
                answers.append(_answer(one, found.get(one, ()), names, now * US))
            else:
                answers.append(_unknown(text, one))
    return answers


def _unknown(text: str, reason: str) -> dict[str, Any]:
    return {
        "value": text,
        "type": None,
        "found": False,
        "active": False,
        "authors": [],
        "claims": [],
        "reason": reason,
    }


def _recognise(text: str) -> Observable | str:
    """The observable, or the reason why it is none."""
    try:
        return detect(text)
    except AuthorError as error:
        return error.reason


def _answer(
    observable: Observable, claims: Sequence[ClaimRow], names: Mapping[PartnerId, str], now_us: int
) -> dict[str, Any]:
    told = [_tell(claim, names) for claim in claims]
    live = [claim for claim in claims if is_live(claim, now_us)]
    return {
        "value": observable.value,
        "type": observable.type,
        "found": bool(told),
        "active": bool(live),
        "authors": sorted({str(one["author"]) for one in told}),
        "claims": told,
    }


def is_live(claim: ClaimRow, now_us: int) -> bool:
    """Whether a claim holds at `now_us` (microseconds): started, not past its validity, not revoked."""
    return (
        not claim.is_revoked
        and (claim.valid_from_us is None or claim.valid_from_us <= now_us)
        and (claim.valid_until_us is None or now_us < claim.valid_until_us)
    )


def _tell(claim: ClaimRow, names: Mapping[PartnerId, str]) -> dict[str, Any]:
    return {
        "author": names.get(claim.author, claim.author.text),
        "author_id": claim.author.text,
        "object_id": claim.object_id,
        "tlp": claim.tlp.label,
        "confidence": claim.confidence,
        "labels": list(claim.labels),
        "valid_from": format_instant(claim.valid_from_us),
        "valid_until": format_instant(claim.valid_until_us),
        "is_revoked": claim.is_revoked,
        "received_at": format_instant(claim.received_at * US),
    }
