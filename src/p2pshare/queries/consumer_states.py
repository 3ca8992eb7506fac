"""Who follows the change feed under a name, and how far behind each is."""

from __future__ import annotations

from msgspec import Struct

from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.knowledge.knowledge import KnowledgeReading


class ConsumerState(Struct, frozen=True, forbid_unknown_fields=True):
    """A consumer. `lag`: how many changes were made since what it was told, at most (an observable that changed twice counts twice);
    `behind_since`: when the first that it was not told of was made, None where it was told all. `state`: `current`, `behind`, or
    `reset` where it is told to begin again."""

    name: str
    cursor: str
    state: str
    lag: int
    behind_since: str | None
    added_at: str | None
    moved_at: str | None


def consumer_states(knowledge: KnowledgeReading) -> list[ConsumerState]:
    """Returns the consumers by name."""
    position, states = knowledge.feed_position(), []
    for row in knowledge.consumers():
        is_here = position.is_here(row.cursor)
        seq = row.cursor.seq if is_here else 0
        behind_since = knowledge.changed_since(seq)
        states.append(
            ConsumerState(
                name=row.name,
                cursor=row.cursor.text,
                state="reset" if not is_here else "behind" if behind_since else "current",
                lag=position.last_seq - seq if behind_since else 0,
                behind_since=behind_since,
                added_at=format_instant(row.added_at * SECOND_US),
                moved_at=None if row.moved_at is None else format_instant(row.moved_at * SECOND_US),
            )
        )
    return states
