"""docs/gossip.md holds what the code does: its examples, its limits, its words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from p2pshare import limits
from p2pshare.gossip import messages
from p2pshare.gossip.fetching import PROVABLE_FAULTS
from p2pshare.gossip.index import Index, key_of
from p2pshare.gossip.messages import PutVerdict, Shard
from p2pshare.gossip.protocol import CARD, CHAIN, DIAL, VERBS
from p2pshare.identifiers import CircleId, EnvelopeId

FORMS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "Hello": (messages.decode_hello, messages.encode_hello),
    "Announce": (messages.decode_announce, messages.encode_announce),
    "AnnounceAnswer": (messages.decode_announce_answer, messages.encode_announce_answer),
    "GetBodies": (messages.decode_get_bodies, messages.encode_get_bodies),
    "PutAnswer": (messages.decode_put_answer, messages.encode_put_answer),
    "Poll": (messages.decode_poll, messages.encode_poll),
    "PollAnswer": (messages.decode_poll_answer, messages.encode_poll_answer),
    "Sync": (messages.decode_sync, messages.encode_sync),
    "SyncAnswer": (messages.decode_sync_answer, messages.encode_sync_answer),
}


def page(repository: Path) -> str:
    return (repository / "docs" / "gossip.md").read_text()


def test_each_message_has_an_example_that_is_read_and_written_the_same(repository: Path) -> None:
    examples = re.findall(r"^(\w+) +([0-9a-f]+)$", page(repository), re.MULTILINE)
    assert {name for name, _ in examples} == set(FORMS)
    for name, text in examples:
        decode, encode = FORMS[name]
        assert encode(decode(bytes.fromhex(text))) == bytes.fromhex(text)


def test_the_numbers_of_the_page_are_the_limits(repository: Path) -> None:
    text = " ".join(page(repository).split())
    for expected in (
        f"at most {limits.ANNOUNCE_ITEMS_MAX} of [id",
        f"ids: at most {limits.GET_IDS_MAX}",
        f"parts: 1 to {limits.SYNC_PARTS_MAX}",
        f"wait (0 to {limits.POLL_WAIT_SECONDS_MAX} s)",
        f"at most {limits.SHARDS_PER_LINK_MAX} of [circle",
        f"more than {limits.REQUEST_BYTES_MAX // limits.KIB} KiB",
        f"{limits.WANT_ENTRIES_MAX:,} entries, {limits.WANT_ENTRIES_PER_PEER_MAX:,} of one announcer",
        f"At most {limits.UNAVAILABLE_PER_LINK_MAX:,} a link",
        f"of at most {limits.EAGER_BYTES_MAX // limits.KIB} KiB to {limits.EAGER_PEERS_MAX} connected peers",
        f"once {limits.EAGER_WAITING_PER_PEER_MAX} pushes wait",
        f"{limits.ARRIVALS_KEPT_MAX // 2:,} to {limits.ARRIVALS_KEPT_MAX:,} arrivals",
        f"within min({limits.BACKOFF_SECONDS_MAX:.0f}, 2^(n-1)) seconds",
        f"({limits.NOTICE_CARRIED_SECONDS // 86_400:,} days for class {limits.NOTICE_CLASS})",
        f"at most {limits.CARD_BYTES_MAX // limits.KIB} KiB, of {limits.CARD_CHAIN_LENGTH_MAX} versions ever",
        f"At most {limits.REQUESTS_IN_FLIGHT_PER_PEER_MAX} requests are in flight",
        *(f" {verb.in_flight_max} {verb.name}" for verb in VERBS if verb not in (CARD, CHAIN, DIAL)),
    ):
        assert expected in text, expected


def test_each_verb_has_its_row(repository: Path) -> None:
    section = page(repository).partition("\n## Verbs")[2].partition("\n## ")[0]
    assert re.findall(r"^\| ([a-z]+) \|", section, re.MULTILINE)[1:] == [verb.name for verb in VERBS]


def test_verdicts_and_provable_faults_are_named(repository: Path) -> None:
    text = page(repository)
    assert all(f"`{word}`" in text for word in (*PutVerdict, *PROVABLE_FAULTS))


def test_the_root_is_the_one_the_page_describes() -> None:
    """Computed here from the words of the page alone."""
    shard, ids = Shard(CircleId.of("main"), 4), [hashlib.sha256(bytes([n])).digest() for n in range(200)]
    index = Index()
    for envelope_id in ids:
        index.add(shard, key_of(1_700_000_000, EnvelopeId(envelope_id)))
    total = sum(int.from_bytes(one, "little") for one in ids) % (1 << 256)
    expected = hashlib.sha256(total.to_bytes(32, "little") + bytes([0x81, 0x48])).digest()[:16]
    (root,) = index.roots([shard.circle], 1_700_000_000)
    assert (root.count, root.root) == (200, expected)
