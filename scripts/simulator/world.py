"""A world: partners, the links between them, and the faults that befall them, all drawn from one seed."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from random import Random
from typing import cast

from p2pshare.config import Config
from p2pshare.database.connection import StoreFailed
from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.envelope import DecodedEnvelope, Mode
from p2pshare.envelope.keys import Identity, reissue_card
from p2pshare.envelope.notice import circle_of_page, notice_id_of, notice_of
from p2pshare.envelope.vouch import Scope
from p2pshare.errors import ConfigError, StoreError
from p2pshare.gossip.index import key_of
from p2pshare.gossip.messages import Shard
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import EAGER_BYTES_MAX, EXPIRED_KEY_KEEP_SECONDS
from p2pshare.node.node import Node
from p2pshare.node.store import Store
from p2pshare.node.vouch_pages import keep_pages
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import drop_partner, put_partner
from simulator.archive import Archive, archive_of, fill_other, fill_own
from simulator.authoring import Wish, publish, vouch_for
from simulator.byzantine import BEHAVIOURS, ByzantineDriver
from simulator.contents import VALUES, ClaimedValue, Ledger, publish_values, take_back
from simulator.disks import Disk, Foundry
from simulator.driver import Stage, VirtualDriver
from simulator.event_queue import START_SECONDS, EventQueue
from simulator.identities import identity_of, next_keys
from simulator.memory_store import MemoryDisk, MemoryStore
from simulator.network import Network
from simulator.oracle import Oracle, Published
from simulator.scenario import CardRule, ContentRule, Fault, Scenario
from simulator.simulated_node import Quiet, SimulatedNode
from simulator.topology import edges_of, links_in
from simulator.trace import Trace
from simulator.virtual_loop import VirtualLoop

MAIN = "main"
RETRY_SECONDS = 5.0
BURST_ENVELOPES = 20
SETTLE_STEP_SECONDS = 5.0
SETTLE_STEP_SECONDS_MAX = 60.0
LOOKS = 20
LOOKED_AT_MAX = (
    500  # envelopes whose keys are compared at each look of the play; of more, and later, at the end alone
)
REST_SECONDS = 400.0  # after all is everywhere: a round of hellos, by which the last word gets to everybody
ALL = 1 << 30
WATCHED_FAULTS = frozenset({"power-loss", "disk-fills", "disk-fails"})
"""Faults of which a disk has to know what was synced."""
DOWN_FAULTS = frozenset({"crash", "power-loss", "restore", "disk-fails"})
"""Faults that befall the one partner that is down, and no link between two others."""
PUBLISHING_SKEW_SECONDS_MAX = 10_800.0  # who sees a wilder clock waits: what is dated a day ahead is refused
REPAIRED_SECONDS = 5.0  # after a disk has failed
JUDGED_SECONDS_BEFORE = 900.0  # an envelope expires: then everybody who could have it is asked for it


class World:
    """A world built from a scenario and a seed; `run` plays the scenario to the end of its quiet time.

    `faults` says how each kind that the scenario names begins, and returns how it ends (`faults.FAULTS`).
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        foundry: Foundry,
        report: Callable[[str], None] | None = None,
        *,
        faults: Mapping[str, Callable[[World, SimulatedNode], Callable[[], None]]],
    ) -> None:
        unknown = sorted({one.kind for one in scenario.faults} - set(faults))
        unknown += sorted({one.lie for one in scenario.byzantine_partners} - set(BEHAVIOURS))
        if unknown:
            raise ConfigError(f"{scenario.name}: nothing is called '{unknown[0]}'")
        self._faults = faults
        self.scenario = scenario
        self.seed = seed
        self.random = Random(f"{scenario.name} {seed}")
        self.event_queue = EventQueue()
        self.trace = Trace(self.event_queue, report)
        self.oracle = Oracle()
        network_random = Random(f"{scenario.name} {seed} network")
        self.network = Network(
            self.event_queue,
            self.trace,
            network_random,
            scenario.network_conditions,
            self._find,
            self.oracle.honest,
        )
        self.stage = Stage(
            scenario,
            self.event_queue,
            self.trace,
            network_random,
            self.network,
            self.oracle,
            VirtualLoop(self.event_queue),
        )
        self.ledger = Ledger()
        self.content_random = Random(f"{scenario.name} {seed} content")
        self.judged = 0
        """Envelopes of which was asked, before they expired, whether everybody has them."""
        self._disturbed_until: dict[str, float] = {}
        """By kind of fault: the end of the last one that has begun."""
        self._began: dict[str, float] = {}
        """By kind of fault: when the first one began."""
        self.excused: set[EnvelopeId] = set()
        """Publications that no partner held when their author's disk was set back: nobody could have them."""
        self.forgotten_directs: set[tuple[PartnerId, EnvelopeId]] = set()
        """(recipient, id): its author removed the recipient, and with it the envelopes that were owed."""
        self.settled_after: float | None = None
        self.quiet = Quiet()
        self.largest: Counter[str] = Counter()
        """The largest size of each table of any honest engine, at a few looks."""
        self.circles_ever: dict[PartnerId, set[frozenset[CircleId]]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="p2pshare-", dir=memory_folder())
        self._foundry = foundry
        self.simulated_nodes = self._simulated_nodes()
        self.by_id = {node.partner_id: node for node in self.simulated_nodes}
        self.honest = [node for node in self.simulated_nodes if node.is_honest]

    # --- building ---

    def _simulated_nodes(self) -> list[SimulatedNode]:
        random, scenario = self.random, self.scenario
        count = scenario.simulated_nodes.count(random)
        dial_only = set(random.sample(range(count), scenario.dial_only.count(random)))
        identities = [identity_of(number, is_dialable=number not in dial_only) for number in range(count)]
        lies = [rule.lie for rule in scenario.byzantine_partners for _ in range(rule.count.count(random))]
        lie_of = dict(zip(random.sample(range(count), len(lies)), lies, strict=True))
        edges = set(edges_of(scenario, count, random))
        simulated_nodes = []
        archive = self._archive(identities)
        for number, identity in enumerate(identities):
            rows = {
                other.partner_id: self._row(number, place, other, frozenset((number, place)) in edges)
                for place, other in enumerate(identities)
                if place != number
            }
            disk = self._disk(number, identity, tuple(rows.values()), archive)
            simulated_nodes.append(
                SimulatedNode(number, identity, disk, dict(rows), rows, lie_of.get(number, ""))
            )
        self.oracle.honest.update(node.partner_id for node in simulated_nodes if node.is_honest)
        return simulated_nodes

    def _archive(self, identities: list[Identity]) -> Archive | None:
        """Returns what node 0 had published before the world began."""
        rule = self.scenario.archive
        if rule is None:
            return None
        archive = archive_of(identities[0], identities[1], rule)
        for one in (*archive.relayed, *archive.direct):
            is_direct = one.core.mode is Mode.DIRECT
            direct_to = (identities[1].partner_id,) if is_direct else ()
            self.oracle.published[one.envelope_id] = Published(one, direct_to, 0.0)
        return archive

    def _disk(
        self, number: int, identity: Identity, rows: tuple[PartnerRow, ...], archive: Archive | None
    ) -> Disk | MemoryDisk:
        if self.scenario.store == "memory":
            return MemoryDisk(MemoryStore(identity.partner_id, rows))
        fill, rule = None, self.scenario.archive
        if archive is not None and rule is not None:
            author = archive.relayed[0].core.author
            recipient = next((one.partner_id for one in rows), author)
            fill = fill_own(archive, rule, recipient) if number == 0 else fill_other(archive, rule, author)
        is_watched = any(fault.kind in WATCHED_FAULTS for fault in self.scenario.faults)
        founded = self._foundry.found(identity, rows, fill, rule)
        return Disk(Path(self._folder.name) / str(number), founded, is_watched=is_watched)

    def _row(self, number: int, place: int, other: Identity, is_linked: bool) -> PartnerRow:
        circles = [MAIN] + [
            rule.name for rule in self.scenario.circles if {number, place} <= set(rule.simulated_nodes)
        ]
        return PartnerRow(
            partner_id=other.partner_id,
            alias=f"s{place}",
            card=other.card.raw,
            card_version=other.card.version,
            has_link=is_linked,
            circles=tuple(circles),
            is_frozen=False,
            added_at=int(START_SECONDS),
        )

    @property
    def virtual_seconds(self) -> float:
        return self.event_queue.now - START_SECONDS

    def _find(self, partner: PartnerId) -> VirtualDriver | None:
        node = self.by_id.get(partner)
        return None if node is None else node.driver

    # --- lives ---

    def start(self, node: SimulatedNode) -> None:
        """Begin the node's next life, or later when the disk does not let it begin."""
        if node.driver is not None or node.downs:
            return
        if node.opened is None:
            config = Config(name=node.name, url=f"https://{node.name}.example:8443")
            node.opened = Node(self._home(node), config, node.identity, cast(Store, node.disk.open()))
            self.set_room(node)
        node.lives += 1
        self._note_links(node)
        if node.is_honest and not self.scenario.is_large:
            self.oracle.begins(node.partner_id, node.store)
        life = f"{self.scenario.name} {self.seed} {node.number} {node.lives}"
        try:
            if node.is_honest:
                node.driver = VirtualDriver(
                    node.name,
                    node.opened,
                    self.stage,
                    seed=life,
                    skew=lambda: node.skew_seconds,
                    disk_failed=partial(self.disk_failed, node),
                )
            else:
                node.driver = ByzantineDriver(node.name, node.opened, self.stage, seed=life, lie=node.lie)
        except StoreFailed:
            self.disk_failed(node)
            return
        except StoreError:
            self._start_later(node, RETRY_SECONDS)
            return
        node.started_at = self.event_queue.now
        self.trace.note(f"{node.name} starts, life {node.lives}")

    def _start_later(self, node: SimulatedNode, seconds: float) -> None:
        self.event_queue.after(seconds, lambda: self.start(node))

    def stop(self, node: SimulatedNode, *, loses_power: bool = False) -> None:
        """End this life at once; the store's files stay as they are, or as they were synced."""
        if node.driver is not None:
            self.trace.note(f"{node.name} stops")
            node.driver.end()
            self.oracle.bodies_lost(node.partner_id, node.driver.unreported)
            node.driver = None
        if node.opened is not None:
            node.held_when_down = self.held_by(node)
            disk = cast(Disk, node.disk)
            if loses_power:
                disk.lose_power(node.store, self.random)
            else:
                disk.crash(node.store)
            node.opened = None

    def disk_failed(self, node: SimulatedNode) -> None:
        """End a life whose disk has failed to write or sync, as the daemon ends; what it had not synced may be gone."""
        self.trace.note(f"{node.name} disk failed")
        disk = cast(Disk, node.disk)
        if disk.watched is not None:
            disk.watched.is_failing = False
        self.stop(node, loses_power=disk.watched is not None)
        self._start_later(node, REPAIRED_SECONDS)

    def set_back(self, node: SimulatedNode, name: str) -> None:
        """Set the disk back to the snapshot; envelopes that only it held are gone for all."""
        self.stop(node)
        node.is_set_back = True
        before = node.held_when_down
        disk = cast(Disk, node.disk)
        disk.restore(name)
        store = disk.open()
        node.held_when_down = {entry.envelope_id for entry in store.log.entries(0, ALL)}
        self.oracle.ever_held[node.partner_id] = store.log.is_seen(list(self.oracle.published))
        store.close()
        for row in node.rows.values():
            self.configure(node, row.partner_id, row)
        for envelope_id in sorted(before - node.held_when_down):
            self._note_lost(node, envelope_id)
        self.trace.note(f"{node.name} is set back, {len(node.held_when_down)} of {len(before)} left")
        self.start(node)

    def _note_lost(self, node: SimulatedNode, envelope_id: EnvelopeId) -> None:
        self.oracle.acks.pop((node.partner_id, envelope_id), None)
        if not any(envelope_id in self.held_by(other) for other in self.honest):
            self.excused.add(envelope_id)

    def set_room(self, node: SimulatedNode) -> None:
        """Tell the node's disk whether there is room on it."""
        if node.opened is not None:
            cast(Disk, node.disk).set_room(node.store, has_room=not node.fulls)

    def held_by(self, node: SimulatedNode) -> set[EnvelopeId]:
        """Returns the envelopes that the node's store holds now, or held when it went down, and that have not expired."""
        if node.opened is None:
            return node.held_when_down
        return {entry.envelope_id for entry in node.store.log.entries(0, ALL)}

    # --- configuration ---

    def configure(self, node: SimulatedNode, partner: PartnerId, row: PartnerRow) -> None:
        """Change what the node knows of a partner, as an operator would; at the next start when it is down."""
        node.rows[partner] = row
        self._write_row(node, partner)

    def forget(self, node: SimulatedNode, partner: PartnerId) -> None:
        """Remove the partner, and its outbox with it: envelopes that waited there are not owed any more."""
        del node.rows[partner]
        for envelope_id, known in self.oracle.published.items():
            if known.author == node.partner_id and partner in known.direct_to:
                self.forgotten_directs.add((partner, envelope_id))
        self._write_row(node, partner)

    def _note_links(self, node: SimulatedNode) -> None:
        """Note the links from the store: a change waits until there is a store to write it to."""
        links = links_in(node.store.partners.all())
        self.oracle.links[node.partner_id] = links
        self.circles_ever.setdefault(node.partner_id, set()).update(links.values())

    def _write_row(self, node: SimulatedNode, partner: PartnerId) -> None:
        if node.opened is None:
            self.event_queue.after(RETRY_SECONDS, lambda: self._write_row(node, partner))
            return
        row = node.rows.get(partner)
        try:
            if row is None:
                drop_partner(node.store, partner)
            else:
                put_partner(node.store, row)
        except StoreError as error:
            if isinstance(error, StoreFailed):
                self.disk_failed(node)
            self.event_queue.after(RETRY_SECONDS, lambda: self._write_row(node, partner))
            return
        self._note_links(node)
        if node.driver is not None:
            node.driver.reload_roster()

    # --- publishing ---

    def _plan_traffic(self) -> None:
        random, traffic, span = self.random, self.scenario.traffic, self.scenario.seconds
        wishes: list[tuple[float, SimulatedNode, Wish]] = []
        for _ in range(traffic.envelopes.count(random)):
            wishes.append((span * random.random(), *self._relayed(int(traffic.body_bytes.draw(random)))))
        for _ in range(traffic.large.count(random)):
            wishes.append((span * random.random(), *self._relayed(EAGER_BYTES_MAX + 10_000)))
        for _ in range(traffic.bursts.count(random)):
            at, (author, wish) = span * random.random(), self._relayed(int(traffic.body_bytes.draw(random)))
            wishes += [(at, author, wish)] * BURST_ENVELOPES
        for _ in range(traffic.directs.count(random)):
            wishes.append((span * random.random(), *self._direct(int(traffic.body_bytes.draw(random)))))
        for at, author, wish in wishes:
            self._publish_later(at, author, wish)

    def _relayed(self, body_bytes: int) -> tuple[SimulatedNode, Wish]:
        author = self.random.choice(self.honest)
        circle = CircleId.of(MAIN)
        for rule in self.scenario.circles:
            if author.number in rule.simulated_nodes and self.random.random() < rule.share:
                circle = CircleId.of(rule.name)
        return author, Wish(circle, body_bytes, self.scenario.traffic.ttl_class)

    def _direct(self, body_bytes: int) -> tuple[SimulatedNode, Wish]:
        author = self.random.choice(self.honest)
        peers = [peer for peer, row in author.rows.items() if row.has_link and self.by_id[peer].is_honest]
        recipients = self.random.sample(peers, min(len(peers), self.random.randint(1, 2)))
        wish = Wish(CircleId.of(MAIN), body_bytes, self.scenario.traffic.ttl_class, tuple(sorted(recipients)))
        return author, wish

    def _publish_later(self, seconds: float, author: SimulatedNode, wish: Wish) -> None:
        self.event_queue.after(seconds, lambda: self._publish(author, wish))

    def _publish(self, author: SimulatedNode, wish: Wish) -> None:
        if author.opened is None or abs(author.skew_seconds) > PUBLISHING_SKEW_SECONDS_MAX:
            self._publish_later(RETRY_SECONDS, author, wish)
            return
        now = int(self.event_queue.now + author.skew_seconds)
        made: list[DecodedEnvelope] = []
        try:
            recipients = [self.by_id[peer].identity.card for peer in wish.direct_to]
            publish(author.store, author.identity, wish, recipients, now, self.random, made.append)
        except StoreFailed:  # nobody may ever have it, and its author may
            for envelope in made:
                self.excused.add(envelope.envelope_id)
                self._note_published(author, envelope, wish.direct_to)
            self.disk_failed(author)
            return
        except StoreError:  # the person who published was told so
            self.trace.note(f"{author.name} cannot publish")
            return
        for envelope in made:
            self._note_published(author, envelope, wish.direct_to)
        if author.driver is not None:
            author.driver.wake()

    def _note_published(
        self, author: SimulatedNode, envelope: DecodedEnvelope, direct_to: tuple[PartnerId, ...]
    ) -> None:
        self.trace.note(f"{author.name} publishes {envelope.envelope_id.short} {len(envelope.wire)}")
        self.oracle.published[envelope.envelope_id] = Published(envelope, direct_to, self.event_queue.now)
        if direct_to == ():
            left = envelope.core.expires - JUDGED_SECONDS_BEFORE - self.event_queue.now
            self.event_queue.after(left, partial(self._judge, envelope.envelope_id))

    def _burst(self, author: SimulatedNode, count: int) -> None:
        """Publish many at one moment, in one transaction; later where the author is down."""
        if author.opened is None:
            self.event_queue.after(RETRY_SECONDS, partial(self._burst, author, count))
            return
        now, wish = int(self.event_queue.now + author.skew_seconds), Wish(CircleId.of(MAIN), 200)
        made: list[DecodedEnvelope] = []
        with author.store.transaction():
            for _ in range(count):
                publish(author.store, author.identity, wish, (), now, self.random, made.append)
        for envelope in made:
            self._note_published(author, envelope, ())
        if author.driver is not None:
            author.driver.wake()

    # --- content ---

    def _plan_content(self, rule: ContentRule) -> None:
        random, span = self.content_random, self.scenario.seconds
        for _ in range(rule.publications.count(random)):
            author = random.choice(self.honest)
            values = sorted(random.sample(VALUES, rule.indicators.count(random)))
            is_direct = random.random() < rule.direct_share
            at = 0.7 * span * random.random()
            self.event_queue.after(at, partial(self._claim, author, values, is_direct=is_direct))
        for _ in range(rule.withdrawals.count(random)):
            self.event_queue.after(span * (0.1 + 0.9 * random.random()), self._withdraw_some)

    def _claim(self, author: SimulatedNode, values: list[str], *, is_direct: bool) -> None:
        """Have an author publish these values, to all its partners or straight to one of them."""
        if author.opened is None:
            self.event_queue.after(RETRY_SECONDS, partial(self._claim, author, values, is_direct=is_direct))
            return
        names: list[str] = []
        if is_direct:
            linked = sorted(row.alias for row in author.rows.values() if row.has_link)
            names = [self.content_random.choice(linked)] if linked else []
        now, tlp = int(self.event_queue.now), Tlp.RED if names else Tlp.GREEN
        try:
            made = publish_values(author.opened, values, tlp, names, now, self.content_random)
        except StoreError:
            self.trace.note(f"{author.name} cannot publish")
            return
        self._note_claims(author, made, values, now, is_withdrawal=False)

    def _withdraw_some(self) -> None:
        """Have somebody take back a value that it knows to have published."""
        known = [
            (node, value, reach)
            for node in self.honest
            if node.opened is not None
            for value in VALUES
            if (reach := self.ledger.known_reach(node.partner_id, value, self.held_by(node))) is not None
        ]
        if not known:
            return
        author, value, reach = self.content_random.choice(known)
        assert author.opened is not None
        try:
            made = take_back(author.opened, value, int(self.event_queue.now), self.content_random)
        except StoreError:
            self.trace.note(f"{author.name} cannot withdraw")
            return
        self._note_claims(author, made, [value], reach, is_withdrawal=True)

    def _note_claims(
        self,
        author: SimulatedNode,
        made: list[DecodedEnvelope],
        values: list[str],
        reach: int,
        *,
        is_withdrawal: bool,
    ) -> None:
        for envelope in made:
            audience = frozenset(author.store.log.audience(envelope.envelope_id))
            direct_to = tuple(sorted(audience)) if envelope.core.mode is Mode.DIRECT else ()
            self._note_published(author, envelope, direct_to)
            self.ledger.lines += [
                ClaimedValue(
                    author.partner_id,
                    value,
                    envelope.envelope_id,
                    audience | {author.partner_id},
                    reach,
                    is_withdrawal,
                )
                for value in values
            ]
        if author.driver is not None:
            author.driver.wake()

    # --- cards ---

    def _plan_cards(self, rule: CardRule) -> None:
        for node in self.simulated_nodes:
            self._note_notices(node)
        for is_revoking, times in ((False, rule.renewals), (True, rule.revocations)):
            for _ in range(times.count(self.random)):
                node = self.random.choice(self.honest)
                at = self.scenario.seconds * self.random.random()
                self.event_queue.after(at, partial(self._issue, node, is_revoking=is_revoking))

    def _issue(self, node: SimulatedNode, *, is_revoking: bool) -> None:
        """Issue the next version of a node's card, as an operator would; while it is down its daemon finds it at its start."""
        now = int(self.event_queue.now)
        if now <= node.identity.card.not_before:
            self.event_queue.after(RETRY_SECONDS, partial(self._issue, node, is_revoking=is_revoking))
            return
        if is_revoking:
            key_id = node.identity.operational.sign.key_id
            made = vouch_for(node.identity, key_id, self._sealed_by(node, key_id), self.random)
            keep_pages(self._home(node), made)
            for scope, raw in made.pages():
                circle = circle_of_page(node.partner_id, scope)
                self.oracle.notices[EnvelopeId(notice_id_of(notice_of(circle, raw)))] = circle
            node.identity = reissue_card(
                node.identity,
                now,
                operational=next_keys(node.identity, node.identity.card.version),
                revoked=[Revocation(key_id, now, 1, made.root)],
            )
        else:
            name = f"{node.name} again {node.identity.card.version}"
            node.identity = reissue_card(node.identity, now, name=name)
        self._note_notices(node)
        self.trace.note(f"{node.name} issues version {node.identity.card.version} of its card")
        if node.opened is not None:
            node.opened.identity = node.identity
        if node.driver is not None:
            node.driver.follow_card()

    def _sealed_by(self, node: SimulatedNode, key_id: KeyId) -> dict[Scope, list[EnvelopeId]]:
        listed: dict[Scope, list[EnvelopeId]] = {}
        for envelope_id, known in self.oracle.published.items():
            core = known.envelope.core
            if (known.author, core.key_id) == (node.partner_id, key_id):
                for scope in known.direct_to or (core.circle,):
                    listed.setdefault(scope, []).append(envelope_id)
        return listed

    def _note_notices(self, node: SimulatedNode) -> None:
        raw = node.identity.card.version_raw
        for name in (MAIN, *(rule.name for rule in self.scenario.circles)):
            circle = CircleId.of(name)
            self.oracle.notices[EnvelopeId(notice_id_of(notice_of(circle, raw)))] = circle

    def _home(self, node: SimulatedNode) -> Path:
        return Path(self._folder.name) / node.name

    def missing_cards(self) -> list[str]:
        """Returns the cards, and the pages of what their owners vouched for, that an honest partner should know and does not."""
        if self.scenario.cards is None:
            return []
        if any(node.driver is None for node in self.honest):
            return ["somebody is down"]
        lacking: list[str] = []
        for author in self.honest:
            card = author.identity.card
            for node in self.reachable([author], CircleId.of(MAIN)):
                if node is author:
                    continue
                versions = {row.partner_id: row.card_version for row in node.store.partners.all()}
                if versions[author.partner_id] != card.version:
                    lacking.append(f"{node.name} lacks version {card.version} of {author.name}'s card")
                lacking += [
                    f"{node.name} lacks what {author.name} vouches for"
                    for one in card.revoked
                    if self._has_listed(author, one.key_id)
                    and not node.store.notices.has_all_pages(author.partner_id, one.key_id, CircleId.of(MAIN))
                ]
        return lacking

    def _has_listed(self, author: SimulatedNode, key_id: KeyId) -> bool:
        """Returns whether the author has pages for the circle of all."""
        return author.store.notices.has_all_pages(author.partner_id, key_id, CircleId.of(MAIN))

    # --- the play ---

    def run(self) -> None:
        """Play traffic and faults, then peace, then quiet."""
        for node in self.simulated_nodes:
            self._start_later(node, self.random.random())
        self._look()
        self._plan_traffic()
        if self.scenario.cards is not None:
            self._plan_cards(self.scenario.cards)
        if self.scenario.content is not None:
            self._plan_content(self.scenario.content)
        if self.scenario.archive is not None and self.scenario.archive.burst:
            burst = partial(self._burst, self.simulated_nodes[0], self.scenario.archive.burst)
            self.event_queue.after(self.scenario.seconds / 2, burst)
        for fault in self.scenario.faults:
            for _ in range(fault.times.count(self.random)):
                self._plan_fault(fault)
        self.event_queue.run_until(START_SECONDS + self.scenario.seconds)
        self._calm()
        self._settle()
        if self.settled_after is not None:
            self._be_quiet()

    def _plan_fault(self, fault: Fault) -> None:
        at = self.scenario.seconds * 0.9 * self.random.random()
        lasts = min(fault.seconds.draw(self.random), self.scenario.seconds - at)
        node = self.random.choice(self.honest) if fault.node is None else self.simulated_nodes[fault.node]

        def begin() -> None:
            self.trace.note(f"{node.name} fault {fault.kind}")
            undo = self._faults[fault.kind](self, node)
            self._began.setdefault(fault.kind, self.event_queue.now)
            until = max(self._disturbed_until.get(fault.kind, 0.0), self.event_queue.now + lasts)
            self._disturbed_until[fault.kind] = until
            self.event_queue.after(lasts, undo)

        self.event_queue.after(at, begin)

    def _calm(self) -> None:
        """End the faults. All that were planned have been undone by now, save what is retried."""
        self.trace.note("calm")
        quiet = self.scenario.network_conditions
        self.network.network_conditions = type(quiet)(
            latency_seconds=quiet.latency_seconds, bytes_per_second=quiet.bytes_per_second
        )

    def _settle(self) -> None:
        end = START_SECONDS + self.scenario.seconds + self.scenario.settle_seconds
        step = SETTLE_STEP_SECONDS
        while self.event_queue.now < end:
            self.event_queue.run_until(min(end, self.event_queue.now + step))
            step = min(SETTLE_STEP_SECONDS_MAX, 1.25 * step)
            if not self.missing() and not self.missing_cards():
                self.settled_after = self.event_queue.now - START_SECONDS - self.scenario.seconds
                return

    def _be_quiet(self) -> None:
        """Measure what is done all the same when nothing is left to do."""
        self.event_queue.run_until(self.event_queue.now + REST_SECONDS)
        bodies, requests, size = (
            self.oracle.bodies_from_honest,
            self.network.tally.requests.total(),
            self.network.tally.bytes,
        )
        self.event_queue.run_until(self.event_queue.now + self.scenario.quiet_seconds)
        links = sum(self.can_talk(left, right) for left, right in combinations(self.honest, 2))
        minutes = self.scenario.quiet_seconds / 60 * max(1, links)
        self.quiet = Quiet(
            self.oracle.bodies_from_honest - bodies,
            (self.network.tally.requests.total() - requests) / minutes,
            (self.network.tally.bytes - size) / minutes,
        )

    def _look(self) -> None:
        """Note the sizes of the tables of all honest engines, now and again."""
        for node in self.honest:
            if node.driver is not None:
                for name, size in node.driver.engine.sizes().items():
                    self.largest[name] = max(self.largest[name], size)
        if len(self.oracle.published) <= LOOKED_AT_MAX and self.virtual_seconds <= self.scenario.seconds:
            self.compare_indexes()
        self.event_queue.after(self.scenario.seconds / LOOKS, self._look)

    def compare_indexes(self) -> None:
        """Compare what each engine has in its index with what the oracle saw its store hold."""
        if self.scenario.is_large:
            return
        for node in self.honest:
            if node.driver is None:
                continue
            now = max(node.driver.time, int(self.event_queue.now))
            kept_from = now - EXPIRED_KEY_KEEP_SECONDS
            due: dict[Shard, set[bytes]] = {}
            for envelope_id in self.oracle.ever_held.get(node.partner_id, ()):
                core = self.oracle.published[envelope_id].envelope.core
                if core.mode is Mode.RELAY and core.expires > kept_from:
                    shard = Shard(core.circle, core.ttl_class)
                    due.setdefault(shard, set()).add(key_of(core.created, envelope_id))
            for shard, keys in sorted(due.items()):
                lacking = node.driver.lacking_keys(shard, keys)
                if lacking:
                    self.oracle.complain("the_index_is_whole", f"{node.name} lacks {len(lacking)} keys")

    def late(self) -> list[str]:
        """Returns the publications that took longer to everybody than the scenario allows, no fault having begun before."""
        bound = self.scenario.spread_seconds
        if not bound:
            return []
        began = min(self._began.values(), default=float("inf"))
        late = []
        for envelope_id, known in self.oracle.published.items():
            if not START_SECONDS <= known.at < began - bound or known.author not in self.oracle.honest:
                continue
            held_at = self.oracle.held_at.get(envelope_id, {})
            readers = [self.by_id[peer] for peer in known.direct_to] or self.reachable(
                [self.by_id[known.author]], known.envelope.core.circle
            )
            for node in readers:
                if held_at.get(node.partner_id, float("inf")) > known.at + bound:
                    late.append(f"{node.name} has {envelope_id.short} after more than {bound:.0f} s")
        return late

    def close(self) -> None:
        """End all lives and remove the folder."""
        for node in self.simulated_nodes:
            if node.driver is not None:
                node.driver.end()
            if node.opened is not None:
                node.opened.store.close()
        self._folder.cleanup()

    # --- who lacks what ---

    def _judge(self, envelope_id: EnvelopeId) -> None:
        """Ask, before an envelope expires, whether everybody has it who was up long enough; not while links are disturbed."""
        now, patience = self.event_queue.now, self.scenario.settle_seconds
        kinds = self._disturbed_until.keys() - DOWN_FAULTS
        if any(self._disturbed_until[kind] + patience > now for kind in kinds):
            return
        steady = [
            node for node in self.honest if node.driver is not None and node.started_at + patience < now
        ]
        holders = [node for node in steady if envelope_id in self.held_by(node)]
        known = self.oracle.published[envelope_id]
        if not holders or known.at + patience > now:
            return
        self.judged += 1
        for node in self.reachable(holders, known.envelope.core.circle, steady):
            if envelope_id not in self.held_by(node):
                self.oracle.complain(
                    "all_is_everywhere", f"{node.name} lacks {envelope_id.short} just before it expires"
                )

    def missing(self) -> list[str]:
        """Returns what an honest partner should hold and does not; empty when all is everywhere."""
        if any(node.driver is None for node in self.honest):
            return ["somebody is down"]
        holding = {node.partner_id: self.held_by(node) for node in self.honest}
        lacking: list[str] = []
        for envelope_id, known in self.oracle.published.items():
            if known.envelope.core.expires <= self.event_queue.now:
                continue
            if known.direct_to:
                lacking += self._missing_directs(envelope_id, known, holding)
            else:
                lacking += self._missing_relayed(envelope_id, known, holding)
        return lacking

    def _missing_directs(
        self, envelope_id: EnvelopeId, known: Published, holding: dict[PartnerId, set[EnvelopeId]]
    ) -> list[str]:
        author = self.by_id[known.author]  # nobody else may hand it over, also when its disk was set back
        return [
            f"{self.by_id[peer].name} lacks the direct {envelope_id.short}"
            for peer in known.direct_to
            if envelope_id not in holding[peer]
            and envelope_id not in self.excused
            and (peer, envelope_id) not in self.forgotten_directs
            and not (author.is_set_back and envelope_id not in holding[author.partner_id])
            and self.can_talk(author, self.by_id[peer])
        ]

    def _missing_relayed(
        self, envelope_id: EnvelopeId, known: Published, holding: dict[PartnerId, set[EnvelopeId]]
    ) -> list[str]:
        holders = [node for node in self.honest if envelope_id in holding[node.partner_id]]
        if len(holders) == len(self.honest):
            return []
        if not holders:
            is_owed = known.author in self.oracle.honest and envelope_id not in self.excused
            return [f"nobody holds {envelope_id.short}"] if is_owed else []
        reached = self.reachable(holders, known.envelope.core.circle)
        return [
            f"{node.name} lacks {envelope_id.short}"
            for node in reached
            if envelope_id not in holding[node.partner_id]
        ]

    def reachable(
        self, origins: list[SimulatedNode], circle: CircleId, among: list[SimulatedNode] | None = None
    ) -> list[SimulatedNode]:
        """Returns the honest partners, of these or of all, that a circle's envelopes reach from `origins` over honest links that
        carry it."""
        among = self.honest if among is None else among
        reached, still_open = {node.number for node in origins}, list(origins)
        while still_open:
            node = still_open.pop()
            for other in among:
                if other.number in reached or not self.can_talk(node, other):
                    continue
                links = self.oracle.links
                here = links[node.partner_id][other.partner_id]
                there = links[other.partner_id][node.partner_id]
                if circle in here & there:
                    reached.add(other.number)
                    still_open.append(other)
        return [node for node in among if node.number in reached]

    def can_talk(self, left: SimulatedNode, right: SimulatedNode) -> bool:
        """Returns whether both have a link to the other and one of them can be dialled."""
        links = self.oracle.links
        is_linked = right.partner_id in links[left.partner_id] and left.partner_id in links[right.partner_id]
        return is_linked and bool(left.identity.card.urls or right.identity.card.urls)


def memory_folder() -> str | None:
    """Returns where files live in memory, where there is such a place: a commit then waits for no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
