"""Words of incidents: the closed lists of the STIX incident suite, as an entry writes them, and what others write instead.

The suite is a draft ("Incident Core Extension Version 2.0 for STIX 2.1"), and its prose and its schemas disagree: each list here has
the words that both know, and the maps below lead from the other half, and from STIX 2.2's, to those.
"""

from __future__ import annotations

from collections.abc import Mapping

DETERMINATIONS = ("blocked", "confirmed", "failed-attempt", "false-positive", "suspected")
DETERMINATION_ALSO: Mapping[str, str] = {"successful-attempt": "confirmed", "low-value": "confirmed"}
"""Of the schema, which has no `confirmed`. `low-value` was flagged rightly, and is of no importance: no false positive."""

INVESTIGATION_STATUSES = ("new", "open", "closed")
EVENT_STATUSES = ("not-occurred", "occurred", "ongoing", "pending", "undetermined")
TASK_OUTCOMES = ("cancelled", "failed", "ongoing", "pending", "successful", "unknown")
FIDELITIES = ("year", "month", "day", "hour", "minute", "second")
"""How exact a stated time is, the coarsest first."""
RECOVERABILITIES = ("extended", "not-applicable", "not-recoverable", "regular", "supplemented")
OWN_STATUSES = ("engaged", "contained", "recovered", "closed")
"""What an organisation says of itself; STIX has no word for it."""
LESSON_STATUSES = ("open", "done")
OPINION_WORDS = ("strongly-disagree", "disagree", "neutral", "agree", "strongly-agree")
"""STIX 2.1 section 10.16."""

IMPACT_DETAILS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "availability": ("availability_impact", ()),
    "confidentiality": ("loss_type", ("information_type", "record_count", "record_size")),
    "external": ("impact_type", ()),
    "integrity": ("alteration", ("information_type", "record_count", "record_size")),
    "monetary": (
        "variety",
        ("conversion_rate", "conversion_time", "currency", "currency_actual", "max_amount", "min_amount"),
    ),
    "physical": ("impact_type", ("asset_type",)),
    "traceability": ("traceability_impact", ()),
}
"""Category of an impact -> the property it must have, and those it may have beside."""
IMPACT_ALSO: Mapping[str, str] = {"economic": "monetary"}
"""Category in the other half of the draft -> ours."""
NUMBER_DETAILS = frozenset(
    {"availability_impact", "record_count", "record_size", "conversion_rate", "max_amount", "min_amount"}
)
"""Properties of an impact that STIX writes as numbers; an entry writes them as decimal text."""
ENUMERATED_DETAILS: Mapping[str, tuple[str, ...]] = {
    "loss_type": ("confirmed-loss", "contained", "exploited-loss", "none", "suspected-loss"),
    "alteration": (
        "full-destruction",
        "full-modification",
        "none",
        "partial-destruction",
        "partial-modification",
        "potential-destruction",
        "potential-modification",
    ),
}
"""Properties of an impact with a closed list, where the halves of the draft agree on it."""

WORD_BYTES_MAX = 64
_WORD_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-&._+:")


def is_word(text: str) -> bool:
    """Returns whether `text` can be a word of an open vocabulary here: lower-case letters, digits and `-&._+:`."""
    return 0 < len(text) <= WORD_BYTES_MAX and _WORD_CHARACTERS.issuperset(text)


def as_word(text: str) -> str:
    """Returns what others write in an open vocabulary as a word of ours, or "" where nothing of it is left."""
    folded = "".join(
        character if character in _WORD_CHARACTERS else "-" for character in text.strip().casefold()
    )
    return folded[:WORD_BYTES_MAX].strip("-")
