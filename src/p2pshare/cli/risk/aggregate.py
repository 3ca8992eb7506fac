"""The one answer about the inventory that may leave: at most 256 bytes with five keys, and a grammar that leaves no room.

`{"as_of": DAY, "bucket": [...], "cve": [...], "exposed": [...], "tlp": "AMBER+STRICT"}`: for each vulnerability asked yes, no or
unknown, and where it is yes how many assets: 1-9, 10-99, 100+. Who reads it knows what was asked and takes nothing else: what
passes is two bits and a bit more for each vulnerability, and a day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from p2pshare.errors import OperatorError

AGGREGATE_BYTES_MAX = 256  # of the answer of one command: five CVEs with long numbers
CVES_MAX = 5
KEYS = ("as_of", "bucket", "cve", "exposed", "tlp")
MARKING = "AMBER+STRICT"
BUCKET_WORDS = ("1-9", "10-99", "100+")
EXPOSED_WORDS = ("no", "unknown", "yes")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Aggregate(NamedTuple):
    """The answer, vulnerability by vulnerability in the order in which they were asked; `as_of` is the oldest day of all."""

    as_of: str
    answers: tuple[tuple[str, str, str], ...]
    """(CVE, exposed, bucket): one of EXPOSED_WORDS, and of BUCKET_WORDS where it is yes, else ''."""


def write_aggregate(aggregate: Aggregate) -> bytes:
    """Returns the bytes of the answer."""
    cves, exposed, buckets = (list(column) for column in zip(*aggregate.answers, strict=True))
    fields = dict(zip(KEYS, (aggregate.as_of, buckets, cves, exposed, MARKING), strict=True))
    return json.dumps(fields, separators=(",", ":")).encode()


def read_aggregate(raw: bytes, asked: Sequence[str]) -> Aggregate:
    """Returns the answer about `asked`. Raises OperatorError `exposure` for anything else: what does not fit does not leave."""
    try:
        fields = json.loads(raw) if len(raw) <= AGGREGATE_BYTES_MAX else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or tuple(fields) != KEYS:
        raise _misfit()
    exposed, buckets = fields["exposed"], fields["bucket"]
    if (
        fields["cve"] != list(asked)
        or fields["tlp"] != MARKING
        or not (isinstance(fields["as_of"], str) and _DAY.fullmatch(fields["as_of"]))
        or not (isinstance(exposed, list) and isinstance(buckets, list))
        or not len(exposed) == len(buckets) == len(asked)
        or not all(one in EXPOSED_WORDS for one in exposed)
        or not all(
            one in (BUCKET_WORDS if word == "yes" else ("",))
            for one, word in zip(buckets, exposed, strict=True)
        )
    ):
        raise _misfit()
    return Aggregate(fields["as_of"], tuple(zip(asked, exposed, buckets, strict=True)))


def _misfit() -> OperatorError:
    return OperatorError(
        "the process that asks the inventory answered something else than it may",
        hint="nothing was sent; please report it",
        reason="exposure",
    )
