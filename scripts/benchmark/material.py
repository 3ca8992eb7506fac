"""What is measured on: realistic STIX indicators by a fixed seed, and nodes that seal and take them in.

Values lie in ranges and names kept for documentation and benchmarks (RFC 2544, 3849, 2606). Three of ten objects
of the second author are about values of the first: what partners share overlaps.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import ALONE, PayloadHeader, compress_frame, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest, seal
from p2pshare.identifiers import CircleId, PublicationId
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import Observable, canonical
from p2pshare.limits import FRAME_OBJECTS_MAX
from p2pshare.node.init import found_home
from p2pshare.node.node import Node, open_node
from p2pshare.node.store import Store, open_store
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing.intake import Arrival, IntakeVerdict, take_in
from p2pshare.sharing.partners import add_partner
from p2pshare.sharing.reading import read_all

SEED = 20_261_124
PUBLICATION = PublicationId(
    bytes(PublicationId.length)
)  # of each envelope: nothing that is measured looks at it
REPEATED = 0.3
WORDS = [
    "login",
    "secure",
    "update",
    "mail",
    "cdn",
    "static",
    "api",
    "account",
    "verify",
    "portal",
    "cloud",
    "docs",
    "support",
    "invoice",
    "pay",
]
FAMILIES = ("AsyncRAT", "Lumma", "Remcos", "FormBook", "AgentTesla", "Qakbot", "SocGholish")
PHASES = ("delivery", "exploitation", "installation", "command-and-control")


def values(count: int, seed: int) -> list[tuple[str, str]]:
    """(type, canonical value), all different, in a mix like that of shared lists."""
    random_ = random.Random(seed)
    found: dict[tuple[str, str], None] = {}
    while len(found) < count:
        kind = random_.random()
        number = random_.getrandbits(64)
        host = f"{random_.choice(WORDS)}-{number % 10**7}.{random_.choice(WORDS)}.example"
        if kind < 0.3:
            one = ("ipv4", f"198.{18 + number % 2}.{number >> 8 & 255}.{number >> 16 & 255}")
        elif kind < 0.35:
            one = ("ipv6", f"2001:db8:{number & 65535:x}::{(number >> 16) % 65535 + 1:x}")
        elif kind < 0.6:
            one = ("domain", host)
        elif kind < 0.8:
            one = ("url", f"https://{host}/{random_.choice(WORDS)}/{number >> 40:x}.php")
        elif kind < 0.95:
            one = ("sha256", random_.randbytes(32).hex())
        else:
            one = ("md5", random_.randbytes(16).hex())
        found[one] = None
    return list(found)


_PATTERNS = {
    "ipv4": "[ipv4-addr:value = '{}']",
    "ipv4-net": "[ipv4-addr:value = '{}']",
    "ipv6": "[ipv6-addr:value = '{}']",
    "domain": "[domain-name:value = '{}']",
    "url": "[url:value = '{}']",
    "sha256": "[file:hashes.'SHA-256' = '{}']",
    "md5": "[file:hashes.MD5 = '{}']",
}


def indicator(type_: str, value: str, random_: random.Random) -> dict[str, object]:
    """One STIX 2.1 indicator, some 770 bytes of JSON."""
    second = random_.randrange(86_400 * 300)
    created = f"2026-{1 + second // 2_592_000:02}-{1 + second // 86_400 % 28:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{random_.randrange(1000):03}Z"
    family = random_.choice(FAMILIES)
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.UUID(int=random_.getrandbits(128), version=4)}",
        "created_by_ref": "identity--2f7f0d1e-3b7a-4f7c-9c55-6d2a0e1b8a77",
        "created": created,
        "modified": created,
        "name": f"{family} {type_}",
        "description": f"Seen in {family} activity; first reported by the sensor network, confirmed by analysis.",
        "indicator_types": ["malicious-activity"],
        "labels": [family.lower(), random_.choice(["c2", "payload", "phishing"])],
        "confidence": random_.choice([15, 50, 70, 85, 95]),
        "pattern": _PATTERNS[type_].format(value),
        "pattern_type": "stix",
        "valid_from": created,
        "valid_until": f"2027-{1 + random_.randrange(12):02}-01T00:00:00Z",
        "kill_chain_phases": [
            {"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": random_.choice(PHASES)}
        ],
        "external_references": [{"source_name": "report", "external_id": f"R-{random_.randrange(10**6)}"}],
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
    }


def two_authors(count: int) -> list[list[dict[str, object]]]:
    """`count` indicators for each of two authors; REPEATED of the second's values are the first's."""
    fresh = values(2 * count, SEED)
    shared = round(count * REPEATED)
    chosen = [fresh[:count], fresh[:shared] + fresh[count : 2 * count - shared]]
    random_ = random.Random(SEED + 1)
    for one in chosen:
        random_.shuffle(one)
    return [[indicator(type_, value, random_) for type_, value in one] for one in chosen]


def expected(authors: Sequence[Sequence[dict[str, object]]]) -> dict[Observable, int]:
    """What a plain dictionary says: how many claims each observable has."""
    counts: dict[Observable, int] = {}
    for objects in authors:
        for one in objects:
            type_ = next(
                name
                for name, text in _PATTERNS.items()
                if str(one["pattern"]).startswith(text[: text.index("{")])
            )
            value = str(one["pattern"]).split("= '")[1][:-2]
            counts[canonical(type_, value)] = counts.get(canonical(type_, value), 0) + 1
    return counts


def frames_of(objects: Sequence[dict[str, object]]) -> list[bytes]:
    return [
        compress_frame(json.dumps(objects[start : start + FRAME_OBJECTS_MAX], separators=(",", ":")).encode())
        for start in range(0, len(objects), FRAME_OBJECTS_MAX)
    ]


class Partners:
    """Two authors and a receiver with real keys; the receiver gets a new store as often as one is wanted."""

    def __init__(self, folder: Path, now: int) -> None:
        self._folder, self._now, self._stores = folder, now, 0
        self.authors = [self._found("alpha"), self._found("bravo")]
        self.receiver = self._found("charlie")
        for author in self.authors:
            add_partner(
                self.receiver,
                author.identity.card.raw,
                confirmed_fingerprint=fingerprint(author.identity.partner_id),
                alias="",
                has_link=True,
                now=now,
            )
        self._sequences = [0, 0]

    def _found(self, name: str) -> Node:
        home = self._folder / name
        found_home(home, name=name, url="https://127.0.0.1:9", listen="", passphrase=None, now=self._now)
        return open_node(home)

    def fresh_receiver(self) -> Node:
        """The receiver with an empty store that knows its partners."""
        self._stores += 1
        store = open_store(self._folder / f"receiver-{self._stores}.sqlite")
        store.partners.put_own(self.receiver.identity.partner_id, "charlie")
        for row in self.receiver.store.partners.all():
            store.partners.put(row)
        return replace(self.receiver, store=store)

    def sealed(self, author: int, objects: Sequence[dict[str, object]], per_envelope: int) -> list[Arrival]:
        """Envelopes of `per_envelope` objects each, sealed for the receiver and carried by their author."""
        node = self.authors[author]
        arrivals = []
        for start in range(0, len(objects), per_envelope):
            part = objects[start : start + per_envelope]
            self._sequences[author] += 1
            header = PayloadHeader("stix", self._now, Tlp.GREEN.label, len(part), PUBLICATION, ALONE)
            request = SealRequest(
                payload=encode_payload(header, frames_of(part)),
                recipients=(
                    Recipient(self.receiver.identity.card, RecipientNumber(self._sequences[author])),
                ),
                incarnation=self._now,
                sequence=self._sequences[author],
                previous=bytes(32),
                circle=CircleId.of("main"),
                mode=Mode.RELAY,
                created=self._now,
                ttl_class=4,
            )
            arrivals.append(Arrival(seal(node.identity, request).wire, node.identity.partner_id))
        return arrivals


def discard(node: Node) -> None:
    """Closes and removes a receiver's store."""
    assert isinstance(node.store, Store)
    path = Path(node.store.database.path)
    node.store.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def take_in_and_read(node: Node, arrivals: Sequence[Arrival], now: int) -> list[IntakeVerdict]:
    """Take a batch in, and read what is in it, as the daemon does one after the other."""
    verdicts = take_in(node, arrivals, now)
    read_all(node, load_readers(), now, time.monotonic)
    return verdicts
