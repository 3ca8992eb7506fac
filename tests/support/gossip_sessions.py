"""What the two sides of a comparison say, in short; the peer of a dialogue answers as if it held what a test says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.index import cut_of, key_of
from p2pshare.gossip.messages import Hello, Shard, ShardRoot, Sync, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.gossip.negentropy.negentropy import finish, respond

SHARD = Shard(MAIN, 4)
ASK_FOR_ALL = b"\x61\x00\x00\x02\x00"
NOTHING = b"\x61"


def key(number: int, created: int = NOW) -> bytes:
    return key_of(created, item(number).envelope_id)


def keys_of(*numbers: int) -> tuple[bytes, ...]:
    return tuple(sorted(map(key, numbers)))


def roots(keys: Iterable[bytes]) -> tuple[ShardRoot, ...]:
    index = SortedKeys(sorted(keys))
    return (ShardRoot(SHARD, len(index), index.root()),) if len(index) else ()


def loaded(dialogue: Any, *numbers: int, **more: Any) -> Any:
    """A partner that holds these, its link not open yet."""
    talk = dialogue(**more)
    talk.tell(events.KeysLoaded(SHARD, keys_of(*numbers)))
    return talk


def greet(talk: Any, shards: tuple[ShardRoot, ...], *, clock: int = 0) -> None:
    """The next hello is answered."""
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(EPOCH, clock or int(talk.now), 1, shards)))


def begin(talk: Any, shards: tuple[ShardRoot, ...] = DIFFERENT) -> actions.SendSync:
    """Opens the link with these roots; the session's first question."""
    talk.open(shards=shards)
    talk.sleep(1)
    greet(talk, shards)
    question: actions.SendSync = talk.expect(actions.SendSync)
    return question


def answer(talk: Any, question: actions.SendSync, theirs: Iterable[bytes]) -> None:
    """As a partner that holds `theirs` answers."""
    index = SortedKeys(sorted(theirs))
    parts = []
    for part in question.message.parts:
        source = AuditView(index, question.message.nonce) if question.message.nonce else index
        cut = cut_of(part.shard, question.message.clock)
        parts.append(SyncPart(part.shard, finish(respond(source, part.message, created_min=cut))))
    talk.tell(events.Answered(question.request, SyncAnswer(tuple(parts))))


def ask(
    talk: Any, ticket: int, message: bytes, *, shard: Shard = SHARD, clock: int = NOW, nonce: bytes = b""
) -> None:
    talk.tell(events.SyncAsked(talk.peers[0], ticket, Sync(clock, nonce, (SyncPart(shard, message),))))
