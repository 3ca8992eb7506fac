"""The number that an author gives an envelope for one recipient, inside its wrap (docs/envelope.md, "Recipient numbers").

A recipient that sees 3 after 1 knows that one is missing, though every relay says there is none. Numbers begin anew in each
incarnation, for an author whose store was put back from a backup no longer knows which it used; the first of an
incarnation therefore names the last that the author knows of before.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.envelope.encoding import INTEGER_MAX, refusal

RECIPIENT_NUMBER_BYTES = 24


@dataclass(frozen=True, slots=True)
class RecipientNumber:
    """The place of an envelope among those that its author sealed for one recipient in one incarnation, from 1; with 1 alone
    the incarnation in which the author sealed for it before, and the last number there (both 0: never)."""

    sequence: int
    incarnation_before: int = 0
    last_before: int = 0

    def encode(self) -> bytes:
        return b"".join(
            one.to_bytes(8, "big") for one in (self.sequence, self.incarnation_before, self.last_before)
        )

    @classmethod
    def parse(cls, raw: bytes, incarnation: int) -> RecipientNumber:
        """Returns the number in the wrap of an envelope of `incarnation`. Raises PeerError `bad-wrap` for one that no
        honest author writes."""
        number = cls(*(int.from_bytes(raw[at : at + 8], "big") for at in range(0, RECIPIENT_NUMBER_BYTES, 8)))
        before = (number.incarnation_before, number.last_before)
        if not 1 <= number.sequence <= INTEGER_MAX or max(before) > INTEGER_MAX:
            raise refusal("bad-wrap", "the number for us is out of range")
        if any(before) and (number.sequence > 1 or not all(before) or before[0] == incarnation):
            raise refusal("bad-wrap", "the number for us names one before that cannot be")
        return number
