"""Envelopes in the store as intake and the reader leave them, without either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.log.interface import Stored
from p2pshare.node.store import Store
from p2pshare.sharing import storing


@dataclass(frozen=True)
class ReadEnvelope(storing.ReadEnvelope):
    """An envelope with what was read of it; `recipient_sequence` is its author's number for us, where it was for us."""

    recipient_sequence: int | RecipientNumber | None = None


def store_envelopes(store: Store, arrivals: Sequence[ReadEnvelope]) -> list[Stored]:
    """Stores envelopes, content and numbers in one transaction; returns the log's answers in order."""
    with store.transaction():
        stored = storing.store_envelopes(store, arrivals)
        for answer, arrival in zip(stored, arrivals, strict=True):
            number = arrival.recipient_sequence
            if answer.source is not None and number is not None:
                number = RecipientNumber(number) if isinstance(number, int) else number
                store.log.note_recipient_number(answer.source, number)
    return stored
