"""For whom an envelope of ours was sealed, told by its hints: what an author can find again that forgot it.

Nothing is opened: a hint is made of two hint keys and the nonce in the header (docs/envelope.md, "Sealing"), so the author
and the recipient can make it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import DecodedEnvelope, hints_of
from p2pshare.envelope.keys import Identity


def addressed_to(identity: Identity, decoded: DecodedEnvelope, cards: Iterable[Card]) -> list[Card]:
    """Returns those of `cards` for which an envelope of ours has a row. Who has a hint key that is on none of them is not found."""
    hints = set(hints_of(decoded))
    own_keys = [identity.operational.hint, *(keys.hint for keys in identity.retired)]
    author, nonce = identity.partner_id, decoded.core.nonce
    return [
        card
        for card in cards
        if any(
            own.hint(other, author, card.partner_id, nonce) in hints
            for own in own_keys
            for other in card.hint_keys_ever
        )
    ]
