"""What a day of an attacker's requests costs, sent in twenty minutes: a partner that means harm, as fast as its limits let it.

The victim is a real daemon in a process of its own. Its limits for one partner are raised by as much as the day is shortened
(72 times for twenty minutes): a clock that ran faster instead would shorten every deadline and pause of the daemon as well, and
a handshake of 5 s would have to end within 70 ms. What no rate bounds stays as it is: the quota, deferred envelopes, what waits.
Or they stay as they are shipped (`is_shipped`), and the attacker asks without a pause all the same: what is beyond them is refused.
An honest partner hands over five small envelopes a second, and waits until each is held; first alone, then beside the attack, for as
long (five minutes at most): so each p99 is one of a few hundred figures and not the slowest of some ten.

The attacker has a machine of its own, and here it shares the victim's. So its process runs at a lower priority, that its own TLS
and its own random bytes take no processor from the victim. It knows its trade: envelopes of a kind that cost most are among those
that cost least, and it seals before the clock begins what it can.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from measuring import Report, percentile
from under_attack import _dear_question, _index

from p2pshare.envelope.card import believe_chain, fingerprint
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.payload import ALONE, PayloadHeader, compress_frame, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest, seal
from p2pshare.errors import PeerError
from p2pshare.gossip.messages import Announce, AnnounceItem, Hello, PutVerdict, Shard, Sync, SyncPart
from p2pshare.gossip.protocol import ANNOUNCE, HELLO, SYNC
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId, PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ANNOUNCE_ITEMS_MAX, FUTURE_DEFER_SECONDS, KIB, MIB
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, KEY_FILE_NAME, STORE_NAME
from p2pshare.node.init import found_home
from p2pshare.node.keyfile import read_identity
from p2pshare.node.node import close_node, open_node
from p2pshare.node.store import reading_store
from p2pshare.partners.interface import Account
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.faults import PeerBusy, PeerUnreachable
from p2pshare.peering.tls import TlsGate
from p2pshare.sharing.partners import add_partner

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SIEGE_SECONDS = 1_200.0
DAY_SECONDS = 86_400
REQUESTS_PER_SECOND = 50  # what a partner is let by default, a second ...
RAISED = {"requests_per_second": 3_600, "mib_per_second": 1_024, "envelopes_per_second": 10_000}
"""... and here: 72 times as many requests; the other two as far as the configuration goes, which is beyond what those bring."""
QUOTA_MIB = 256  # a quarter of the default, so that twenty minutes come to its end
MEMORY_MIB_MAX = 256
RATIO_MAX = 2.0
WATCHDOG_SECONDS = 60  # of the shipped unit
HONEST_PAUSE_SECONDS = 0.2
QUIET_SECONDS_MAX = (
    300.0  # the honest partner is measured alone for as long as beside the attack, but no longer
)
ATTACKER_NICENESS = 10
FIRING, ASKING = 3, 1  # connections of the attacker: four are all that a partner gets
SEALED_PER_SECOND = 200  # fresh envelopes that wait for each second of the siege: what it fires is less
SEALED_BYTES_MAX = QUOTA_MIB * MIB  # more is refused all the same
HEAVY_DIFFERENT, HEAVY_INDICATORS = 40, 400  # envelopes, and in each indicators that all name the same values
WIDE_DIFFERENT, WIDE_INDICATORS = (
    200,
    25,
)  # the same, no larger than what is read: together more than the quota
NAMED_VALUES, NAMED_PER_FRAME = 1_000, 64
DEFERRED_AHEAD_SECONDS = FUTURE_DEFER_SECONDS + 60  # it is due within the run
PATIENCE_SECONDS = 120.0
ENVELOPES = {"fresh": 30, "replay": 25, "hello": 25, "garbage": 14, "deferred": 4, "heavy": 1, "wide": 1}
"""Of a hundred requests on three of its four connections ..."""
QUESTIONS = {"announcement": 1, "sync": 1}
"""... and on the fourth, which waits: a comparison costs its share of a second, and is refused with a pause beyond it."""
MAIN = CircleId.of("main")


@dataclass
class Siege:
    """What came of it: the honest partner's seconds, and the attacker's requests by (kind, outcome)."""

    quiet: list[float] = field(default_factory=list)
    attacked: list[float] = field(default_factory=list)
    honest_ids: list[EnvelopeId] = field(default_factory=list)
    shots: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    gaps: list[float] = field(default_factory=list)
    grown_bytes: int = 0
    told_bytes: dict[str, int] = field(default_factory=dict)
    """What `status` tells of the disk, and of the attacker: the store, what its envelopes take and count for, the most they may."""
    refused: dict[str, int] = field(default_factory=dict)
    memory_mib: float = 0.0
    writer: dict[str, Any] = field(default_factory=dict)
    unread: int = 0
    accounts: dict[PartnerId, Account] = field(default_factory=dict)
    carried: dict[PartnerId, int] = field(default_factory=dict)
    still_deferred: int = 0


def measure(report: Report, folder: Path, *, seconds: float, is_shipped: bool = False) -> Siege:
    """Lay siege for `seconds`, with the limits as they are shipped or raised; raises AssertionError where something was lost, or
    the counts do not add up."""
    siege = Siege()
    homes = {name: folder / name for name in ("victim", "honest", "attacker")}
    port = _found(homes, {} if is_shipped else RAISED)
    with _daemon(homes["victim"], port, siege) as process:
        asyncio.run(_besiege(siege, homes, port, process, seconds))
    _look(siege, homes)
    _tell(report, siege, homes, seconds)
    return siege


# --- the victim ---


def _found(homes: dict[str, Path], limits: Mapping[str, int]) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    now = int(time.time())
    for name, home in homes.items():
        is_victim = name == "victim"
        url, listen = (f"https://127.0.0.1:{port}", f"127.0.0.1:{port}") if is_victim else ("", "")
        found_home(home, name=name, url=url, listen=listen, passphrase=None, now=now)
    config = homes["victim"] / CONFIG_NAME
    text = config.read_text()
    for key, value in {**limits, "author_mib": QUOTA_MIB}.items():
        text, changed = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert changed == 1, key
    config.write_text(text)
    node = open_node(homes["victim"])
    for name in ("honest", "attacker"):
        card = believe_chain((homes[name] / CARD_FILE_NAME).read_bytes())
        add_partner(
            node,
            card.raw,
            confirmed_fingerprint=fingerprint(card.partner_id),
            alias=name,
            has_link=True,
            now=now,
        )
    close_node(node)
    return port


@contextmanager
def _daemon(home: Path, port: int, siege: Siege) -> Any:
    """A daemon under a watchdog that only looks on."""
    command = [sys.executable, "-m", "p2pshare", "--home", str(home), "run", "--log-level", "warning"]
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"\0p2pshare-siege-{os.getpid()}-{port}")
    environment = os.environ | {
        "NOTIFY_SOCKET": f"@p2pshare-siege-{os.getpid()}-{port}",
        "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000),
        "PYTHONPATH": str(REPOSITORY / "src"),
    }
    environment.pop("WATCHDOG_PID", None)
    ready, is_over = threading.Event(), threading.Event()
    with (home.parent / "victim.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    watch = threading.Thread(target=_note_pings, args=(manager, ready, is_over, siege.gaps), daemon=True)
    watch.start()
    try:
        assert ready.wait(PATIENCE_SECONDS), (home.parent / "victim.log").read_text()
        yield process
        is_over.set()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, (home.parent / "victim.log").read_text()[-4_000:]
    finally:
        is_over.set()
        if process.poll() is None:
            process.kill()
            process.wait()
        watch.join()
        manager.close()


def _note_pings(
    manager: socket.socket, ready: threading.Event, is_over: threading.Event, gaps: list[float]
) -> None:
    manager.settimeout(0.2)
    last = math.inf
    while not is_over.is_set():
        with suppress(TimeoutError):
            told = manager.recv(4 * KIB).decode()
            if "READY=1" in told:
                ready.set()
                last = time.monotonic()
            if "WATCHDOG=1" in told:
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
    if last < math.inf:
        gaps.append(time.monotonic() - last)


# --- the honest partner ---


async def _besiege(
    siege: Siege, homes: dict[str, Path], port: int, process: subprocess.Popen[bytes], seconds: float
) -> None:
    victim = believe_chain((homes["victim"] / CARD_FILE_NAME).read_bytes())
    address = PeerAddress(victim.partner_id, f"https://127.0.0.1:{port}", victim.tls_certificates)
    honest = _identity(homes["honest"])
    client = PeerClient(TlsGate(honest.operational.tls), address)
    forge = Forge(honest, homes["victim"])
    ours, theirs = multiprocessing.Pipe()
    attacker = multiprocessing.get_context("spawn").Process(
        target=_attack, args=(theirs, homes["attacker"], homes["victim"], address, seconds), daemon=True
    )
    attacker.start()
    await asyncio.to_thread(ours.recv)  # it has sealed what it can seal
    siege.quiet = await _hand_over(siege, client, forge, min(seconds, QUIET_SECONDS_MAX))
    before = _bytes_of(homes["victim"])
    ours.send("begin")
    began = time.monotonic()
    siege.attacked = await _hand_over(siege, client, forge, seconds)
    siege.shots, siege.seconds = await asyncio.to_thread(ours.recv)
    siege.seconds = max(siege.seconds, time.monotonic() - began)
    attacker.join()
    await client.close()
    siege.grown_bytes = _bytes_of(homes["victim"]) - before
    siege.memory_mib = _peak_mib(process.pid)
    status = await asyncio.to_thread(_status, homes["victim"])
    siege.writer, siege.unread = status["writer"], status["envelopes"]["unread"]
    siege.refused = status["refused"]
    (row,) = (one for one in status["partners"] if one["alias"] == "attacker")
    siege.told_bytes = {
        **status["disk"],
        "carried_bytes": row["carried_bytes"],
        "cost_bytes": row["cost_bytes"],
    }
    await _until_read(homes["victim"], siege.honest_ids)


async def _hand_over(siege: Siege, client: PeerClient, forge: Forge, seconds: float) -> list[float]:
    """Seconds from handing over to held, of an envelope each HONEST_PAUSE_SECONDS."""
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        envelope_id, wire = forge.small(len(siege.honest_ids))
        began = time.monotonic()
        while True:
            with suppress(PeerBusy, PeerUnreachable):
                answer = await client.put(envelope_id, wire)
                assert answer.verdict in (PutVerdict.HELD, PutVerdict.ALREADY_HELD), answer
                break
            assert time.monotonic() - began < PATIENCE_SECONDS, "an honest envelope is not taken"
            await asyncio.sleep(0.05)
        found.append(time.monotonic() - began)
        siege.honest_ids.append(envelope_id)
        await asyncio.sleep(max(0.0, HONEST_PAUSE_SECONDS - found[-1]))
    return found


async def _until_read(home: Path, ids: Sequence[EnvelopeId]) -> None:
    """Every envelope of the honest partner is read in the end, however much of the attacker's waits beside them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with reading_store(home / STORE_NAME) as store:
        waiting = list(ids)
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} honest envelopes are not read"
            await asyncio.sleep(0.5)
            records = {one: store.log.record(one) for one in waiting}
            assert None not in records.values(), "an honest envelope was lost"
            waiting = [one for one, record in records.items() if record and record.content.name == "UNREAD"]


# --- the attacker ---


class Forge:
    """Seals what its identity may, for the one recipient, without a store."""

    def __init__(self, identity: Identity, victim_home: Path) -> None:
        self._identity = identity
        self._victim = believe_chain((victim_home / CARD_FILE_NAME).read_bytes())
        self._incarnation = int(time.time())
        self._sequence = 0

    def small(self, number: int, created: int | None = None) -> tuple[EnvelopeId, bytes]:
        """An envelope with one indicator of its own."""
        who = self._identity.partner_id.text[:8]
        one = _indicator(number, f"[domain-name:value = 'n{number}.{who}.example']")
        return self._seal([compress_frame(json.dumps([one]).encode())], 1, created)

    def naming(self, first: int, indicators: int) -> tuple[EnvelopeId, bytes]:
        """An envelope with indicators that all name the same values, whichever envelope they are in; `first` is the number of
        the first."""
        names = ",".join(f"'m{n}'" for n in range(NAMED_VALUES))
        objects = [_indicator(first + n, f"[mutex:name IN ({names})]") for n in range(indicators)]
        frames = [
            compress_frame(json.dumps(objects[start : start + NAMED_PER_FRAME]).encode())
            for start in range(0, indicators, NAMED_PER_FRAME)
        ]
        return self._seal(frames, indicators, None)

    def _seal(self, frames: Sequence[bytes], objects: int, created: int | None) -> tuple[EnvelopeId, bytes]:
        self._sequence += 1
        now = int(time.time())
        header = PayloadHeader(
            "stix", now, Tlp.GREEN.label, objects, PublicationId(os.urandom(PublicationId.length)), ALONE
        )
        sealed = seal(
            self._identity,
            SealRequest(
                payload=encode_payload(header, tuple(frames)),
                recipients=(Recipient(self._victim, RecipientNumber(self._sequence)),),
                incarnation=self._incarnation,
                sequence=self._sequence,
                previous=bytes(32),
                circle=MAIN,
                mode=Mode.RELAY,
                created=now if created is None else created,
                ttl_class=4,
            ),
        )
        return sealed.envelope_id, sealed.wire


def _indicator(number: int, pattern: str) -> dict[str, object]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "pattern": pattern,
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
    }


class Attacker:
    """Fires shots at the victim, and counts each with what came of it."""

    def __init__(self, client: PeerClient, forge: Forge, seconds: float) -> None:
        self.shots: Counter[tuple[str, str]] = Counter()
        self._client = client
        self._forge = forge
        self._random = random.Random(1)
        self._fresh = self._sealed(seconds)
        # of those that cost most it has as many as a shorter siege can use
        heavy, wide = (min(most, 1 + int(seconds)) for most in (HEAVY_DIFFERENT, WIDE_DIFFERENT))
        self._heavy = [forge.naming(10**9 + n * HEAVY_INDICATORS, HEAVY_INDICATORS) for n in range(heavy)]
        self._wide = [forge.naming(2 * 10**9 + n * WIDE_INDICATORS, WIDE_INDICATORS) for n in range(wide)]
        self._fired = 0
        self._deferred = 0
        self._sync = Sync(int(time.time()), b"", (SyncPart(Shard(MAIN, 5), _dear_question(_index(100_000))),))
        self._left = int(REQUESTS_PER_SECOND * DAY_SECONDS * seconds / SIEGE_SECONDS)

    def _sealed(self, seconds: float) -> list[tuple[EnvelopeId, bytes]]:
        sealed: list[tuple[EnvelopeId, bytes]] = []
        total = 0
        while len(sealed) < seconds * SEALED_PER_SECOND and total < SEALED_BYTES_MAX:
            sealed.append(self._forge.small(10**6 + len(sealed)))
            total += len(sealed[-1][1])
        return sealed

    async def fire(self, end: float, shots: Mapping[str, int]) -> None:
        kinds, weights = list(shots), list(shots.values())
        while time.monotonic() < end and self._left > 0:
            self._left -= 1
            kind = self._random.choices(kinds, weights)[0]
            shot: Callable[[], Awaitable[str]] = getattr(self, f"_{kind}_shot")
            try:
                outcome = await shot()
            except PeerBusy as busy:
                outcome = f"429 {busy.reason}"
            except PeerUnreachable as fault:
                outcome = f"unknown {fault.reason}"
            except PeerError as refused:
                outcome = f"refused {refused.reason}"
            self.shots[kind, outcome] += 1

    async def _put(self, one: tuple[EnvelopeId, bytes]) -> str:
        answer = await self._client.put(*one)
        return f"{answer.verdict.name.lower()} {answer.reason}".strip()

    async def _fresh_shot(self) -> str:
        """Beyond what was sealed the last ones are fired again: those are replays, and counted by their answers."""
        number, self._fired = self._fired, self._fired + 1
        return await self._put(self._fresh[min(number, len(self._fresh) - 1)])

    async def _replay_shot(self) -> str:
        return await self._put(
            self._fresh[self._random.randrange(max(1, min(self._fired, len(self._fresh))))]
        )

    async def _heavy_shot(self) -> str:
        return await self._put(self._random.choice(self._heavy))

    async def _wide_shot(self) -> str:
        return await self._put(self._random.choice(self._wide))

    async def _deferred_shot(self) -> str:
        self._deferred += 1
        created = int(time.time()) + DEFERRED_AHEAD_SECONDS
        return await self._put(self._forge.small(3 * 10**9 + self._deferred, created))

    async def _garbage_shot(self) -> str:
        size = self._random.choice((100, KIB, 6 * KIB, 64 * KIB))
        return await self._put((EnvelopeId(os.urandom(32)), os.urandom(size)))

    async def _announcement_shot(self) -> str:
        now = int(time.time())
        items = tuple(
            AnnounceItem(EnvelopeId(os.urandom(32)), now, 4, MAIN, 7_000) for _ in range(ANNOUNCE_ITEMS_MAX)
        )
        await self._client.ask(ANNOUNCE, Announce(Epoch(bytes(16)), 0, 0, items))
        return "answered"

    async def _sync_shot(self) -> str:
        await self._client.ask(SYNC, self._sync)
        return "answered"

    async def _hello_shot(self) -> str:
        await self._client.ask(HELLO, Hello(Epoch(bytes(16)), int(time.time()), 1))
        return "answered"


def _attack(results: Connection, home: Path, victim_home: Path, address: PeerAddress, seconds: float) -> None:
    """In a process of its own, as a partner is."""
    asyncio.run(_attack_for(results, home, victim_home, address, seconds))


async def _attack_for(
    results: Connection, home: Path, victim_home: Path, address: PeerAddress, seconds: float
) -> None:
    identity = _identity(home)
    client = PeerClient(TlsGate(identity.operational.tls), address)
    attacker = Attacker(client, Forge(identity, victim_home), seconds)
    results.send("ready")
    results.recv()
    os.nice(ATTACKER_NICENESS)
    began = time.monotonic()
    connections = [ENVELOPES] * FIRING + [QUESTIONS] * ASKING
    await asyncio.gather(*(attacker.fire(began + seconds, shots) for shots in connections))
    results.send((attacker.shots, time.monotonic() - began))
    await client.close()


# --- what came of it ---


def _identity(home: Path) -> Identity:
    return read_identity(home / KEY_FILE_NAME, home / CARD_FILE_NAME)


def _bytes_of(home: Path) -> int:
    """On the disk, the write-ahead log included."""
    return sum(path.stat().st_blocks * 512 for path in home.rglob("*") if path.is_file())


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / KIB


def _status(home: Path) -> Any:
    command = [sys.executable, "-m", "p2pshare", "--home", str(home), "status", "--json"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    return json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)


def _look(siege: Siege, homes: dict[str, Path]) -> None:
    """Compare what was answered with what is held; raises AssertionError."""
    attacker = _identity(homes["attacker"]).partner_id
    honest = _identity(homes["honest"]).partner_id
    with reading_store(homes["victim"] / STORE_NAME) as store:
        siege.accounts = {one.partner: one for one in store.partners.accounts()}
        for (author, _), size in store.log.carried().items():
            siege.carried[author] = siege.carried.get(author, 0) + size
        ((siege.still_deferred,),) = store.database.fetch("SELECT count(*) FROM deferred")
        held = {one for one in siege.honest_ids if store.log.entry(one) is not None}
    assert held == set(siege.honest_ids), "an honest envelope was lost"
    for account in siege.accounts.values():
        became = account.stored + account.already_held + account.deferred + sum(account.refused.values())
        assert account.came_in == became, f"what came in does not add up: {account}"
    assert siege.accounts[honest].stored == len(siege.honest_ids)
    handed = Counter[str]()
    for (_, outcome), count in siege.shots.items():
        handed[outcome.split(" ")[0]] += count
    account = siege.accounts[attacker]
    came_due = account.deferred - siege.still_deferred  # each came in a second time
    answered = sum(siege.shots[one] for one in siege.shots if one[1].split(" ")[0] in _DECIDED)
    unknown = handed["unknown"]
    assert answered + came_due <= account.came_in <= answered + came_due + unknown, (account, siege.shots)
    assert handed["held"] <= account.stored <= handed["held"] + came_due + unknown, (account, siege.shots)


_DECIDED = frozenset(verdict.name.lower() for verdict in PutVerdict)


def _tell(report: Report, siege: Siege, homes: dict[str, Path], seconds: float) -> None:
    attacker = _identity(homes["attacker"]).partner_id
    fired, of_a_day = siege.shots.total(), REQUESTS_PER_SECOND * DAY_SECONDS * seconds / SIEGE_SECONDS
    report.add("publish -> held alone, p50", "ms", [percentile(siege.quiet, 0.5) * 1e3])
    report.add("publish -> held alone, p99", "ms", [percentile(siege.quiet, 0.99) * 1e3])
    report.add("publish -> held under siege, p50", "ms", [percentile(siege.attacked, 0.5) * 1e3])
    report.add("publish -> held under siege, p99", "ms", [percentile(siege.attacked, 0.99) * 1e3])
    report.add("honest envelopes, alone and under siege", "", [len(siege.quiet), len(siege.attacked)])
    report.add("the attacker's requests", "", [fired])
    report.add(
        "... of what its limits would let through in that part of a day", "%", [100 * fired / of_a_day]
    )
    report.add("... a second", "1/s", [fired / siege.seconds])
    for (kind, outcome), count in sorted(siege.shots.items()):
        report.add(f"... {kind}: {outcome}", "", [count])
    for reason, count in sorted(siege.refused.items()):
        report.add(f"... refused in all: {reason}", "", [count])
    report.add("its envelopes carried at the end", "MiB", [siege.carried.get(attacker, 0) / MIB])
    for name, size in siege.told_bytes.items():
        report.add(f"... told by status: {name}", "MiB", [size / MIB])
    report.add("the victim's disk grew by", "MiB", [siege.grown_bytes / MIB])
    report.add(
        "... for a byte of it carried", "", [siege.grown_bytes / max(1, siege.carried.get(attacker, 0))]
    )
    report.add("envelopes not read yet at the end of the attack", "", [siege.unread])
    report.add("the victim's peak memory", "MiB", [siege.memory_mib])
    report.add(
        f"its longest call of the writer ({siege.writer['longest_call']})",
        "s",
        [siege.writer["longest_seconds"]],
    )
    report.add("... calls above the limit of 2 s", "", [siege.writer["over_limit"]])
    report.add("... longest round trip of a ping", "s", [siege.writer["longest_ping_seconds"]])
    ratio = percentile(siege.attacked, 0.99) / percentile(siege.quiet, 0.99)
    report.gate("an honest partner's p99 under siege / alone", ratio, RATIO_MAX, is_at_least=False)
    report.gate("the victim's peak memory (MiB)", siege.memory_mib, MEMORY_MIB_MAX, is_at_least=False)
    report.gate("longest time without a ping (s)", max(siege.gaps), WATCHDOG_SECONDS, is_at_least=False)
