"""`consumer`, and how far `tail` has come for one: who follows the change feed under a name (docs/siem.md, "Consumers")."""

from __future__ import annotations

import re

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.knowledge.changes import parse_cursor
from p2pshare.knowledge.feed_consumers import CONSUMERS_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.queries.consumer_states import ConsumerState, consumer_states

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class AddConsumer(Request[ConsumerState], frozen=True, tag="consumer-add"):
    """Keep a cursor for a consumer, from the beginning of the feed on. One that is there stays where it is."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> ConsumerState:
        if NAME.fullmatch(self.name) is None:
            raise AuthorError(
                "a consumer's name is 1 to 64 letters, digits, '.', '_' and '-'",
                hint="begin it with a letter or a digit",
                reason="bad-name",
            )
        knowledge = node.store.knowledge
        there = {one.name for one in knowledge.consumers()}
        if self.name not in there and len(there) >= CONSUMERS_MAX:
            raise AuthorError(
                f"there are {CONSUMERS_MAX} consumers",
                hint="`p2pshare consumer remove NAME` takes out one that reads no more",
                reason="too-many-consumers",
            )
        knowledge.add_consumer(self.name, knowledge.feed_position().beginning, now)
        return _state(node, self.name)


class ListConsumers(Query[Several[ConsumerState]], frozen=True, tag="consumer-list"):
    """List the consumers by name."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[ConsumerState]:
        return Several(consumer_states(node.store.knowledge))


class ResetConsumer(Request[ConsumerState], frozen=True, tag="consumer-reset"):
    """Have a consumer told to begin again."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> ConsumerState:
        _state(node, self.name)
        node.store.knowledge.reset_consumer(self.name)
        return _state(node, self.name)


class RemoveConsumer(Request[ConsumerState], frozen=True, tag="consumer-remove"):
    """Forget a consumer; the answer is how it stood."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> ConsumerState:
        state = _state(node, self.name)
        node.store.knowledge.remove_consumer(self.name)
        return state


class AdvanceConsumer(Request[ConsumerState], frozen=True, tag="consumer-advance"):
    """Note that a consumer was told all up to `cursor`. Where that is beyond the end of our feed nobody was: the consumer stays where it is, for
    no cursor goes back."""

    name: str
    cursor: str

    def run(self, node: Node, now: int, progress: Progress) -> ConsumerState:
        try:
            cursor = parse_cursor(self.cursor)
        except ValueError as error:
            raise AuthorError(str(error), reason="bad-cursor") from None
        _state(node, self.name)
        position = node.store.knowledge.feed_position()
        if cursor.feed_id != position.feed_id or cursor.seq <= position.last_seq:
            node.store.knowledge.advance_consumer(self.name, cursor, now)
        return _state(node, self.name)


def _state(node: Node, name: str) -> ConsumerState:
    for one in consumer_states(node.store.knowledge):
        if one.name == name:
            return one
    raise NotFoundError(
        f"there is no consumer '{name}'",
        hint="`p2pshare consumer add NAME` makes one; `p2pshare consumer list` shows them",
        reason="unknown-consumer",
    )
