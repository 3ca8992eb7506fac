"""A world: partners, who is linked with whom, and what befalls them, all drawn from one seed."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from random import Random
from typing import cast

from p2pshare.config import Config
from p2pshare.envelope.keys import Identity
from p2pshare.errors import StoreError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import EAGER_BYTES_MAX
from p2pshare.node.node import Node
from p2pshare.node.store import Store
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import drop_partner, put_partner
from simulator.authoring import Wish, publish
from simulator.byzantine import LyingDriver
from simulator.disks import Disk, Foundry
from simulator.driver import Stage, VirtualDriver
from simulator.event_queue import START_SECONDS, Agenda
from simulator.identities import identity_of
from simulator.memory_store import MemoryDisk, MemoryStore
from simulator.network import Wires
from simulator.oracle import Published, Witness
from simulator.scenario import Fault, Scenario
from simulator.simulated_node import Quiet, Site
from simulator.topology import edges_of, links_in
from simulator.trace import Trace

MAIN = "main"
RETRY_SECONDS = 5.0
BURST_ENVELOPES = 20
SETTLE_STEP_SECONDS = 5.0
SETTLE_STEP_SECONDS_MAX = 60.0
LOOKS = 20
REST_SECONDS = 400.0  # after all is everywhere: a round of hellos, by which the last word gets to everybody
ALL = 1 << 30


class World:
    """Built from a scenario and a seed; `run` plays the scenario to the end of its quiet time.

    `faults` says how each kind that the scenario names begins, and gives back how it ends (`faults.FAULTS`).
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        foundry: Foundry,
        tell: Callable[[str], None] | None = None,
        *,
        faults: Mapping[str, Callable[[World, Site], Callable[[], None]]],
    ) -> None:
        self._faults = faults
        self.scenario = scenario
        self.seed = seed
        self.random = Random(f"{scenario.name} {seed}")
        self.agenda = Agenda()
        self.trace = Trace(self.agenda, tell)
        self.witness = Witness()
        wires_random = Random(f"{scenario.name} {seed} wires")
        self.wires = Wires(
            self.agenda, self.trace, wires_random, scenario.weather, self._find, self.witness.honest
        )
        self.stage = Stage(scenario, self.agenda, self.trace, wires_random, self.wires, self.witness)
        self.excused: set[EnvelopeId] = set()
        """Publications that no partner held when their author's disk was set back: nobody could have them."""
        self.forgotten_directs: set[tuple[PartnerId, EnvelopeId]] = set()
        """(recipient, id): its author removed the recipient, and with it what was owed."""
        self.settled_after: float | None = None
        self.quiet = Quiet()
        self.largest: Counter[str] = Counter()
        """The largest size of each table of any honest engine, at a few looks."""
        self.circles_ever: dict[PartnerId, set[frozenset[CircleId]]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="p2pshare-", dir=memory_folder())
        self._foundry = foundry
        self.sites = self._sites()
        self.by_id = {site.partner_id: site for site in self.sites}
        self.honest = [site for site in self.sites if site.is_honest]

    # --- building ---

    def _sites(self) -> list[Site]:
        random, scenario = self.random, self.scenario
        count = scenario.sites.count(random)
        dial_only = set(random.sample(range(count), scenario.dial_only.count(random)))
        identities = [identity_of(number, is_dialable=number not in dial_only) for number in range(count)]
        lies = [rule.lie for rule in scenario.liars for _ in range(rule.count.count(random))]
        liars = dict(zip(random.sample(range(count), len(lies)), lies, strict=True))
        edges = set(edges_of(scenario, count, random))
        sites = []
        for number, identity in enumerate(identities):
            rows = {
                other.partner_id: self._row(number, place, other, frozenset((number, place)) in edges)
                for place, other in enumerate(identities)
                if place != number
            }
            disk = self._disk(number, identity, tuple(rows.values()))
            sites.append(Site(number, identity, disk, dict(rows), rows, liars.get(number, "")))
        self.witness.honest.update(site.partner_id for site in sites if site.is_honest)
        return sites

    def _disk(self, number: int, identity: Identity, rows: tuple[PartnerRow, ...]) -> Disk | MemoryDisk:
        if self.scenario.store == "memory":
            return MemoryDisk(MemoryStore(identity.partner_id, rows))
        return Disk(Path(self._folder.name) / str(number), self._foundry.found(identity, rows))

    def _row(self, number: int, place: int, other: Identity, is_linked: bool) -> PartnerRow:
        circles = [MAIN] + [rule.name for rule in self.scenario.circles if {number, place} <= set(rule.sites)]
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
        return self.agenda.now - START_SECONDS

    def _find(self, partner: PartnerId) -> VirtualDriver | None:
        site = self.by_id.get(partner)
        return None if site is None else site.driver

    # --- lives ---

    def start(self, site: Site) -> None:
        """The next life, or later when the disk does not let it begin."""
        if site.driver is not None or site.downs:
            return
        if site.node is None:
            config = Config(name=site.name, url=f"https://{site.name}.example:8443")
            site.node = Node(Path(self._folder.name), config, site.identity, cast(Store, site.disk.open()))
            self.tell_room(site)
        site.lives += 1
        self._note_links(site)
        life = f"{self.scenario.name} {self.seed} {site.number} {site.lives}"
        try:
            if site.is_honest:
                site.driver = VirtualDriver(
                    site.name, site.node, self.stage, seed=life, skew_seconds=site.skew_seconds
                )
            else:
                site.driver = LyingDriver(site.name, site.node, self.stage, seed=life, lie=site.lie)
        except StoreError:
            self._start_later(site, RETRY_SECONDS)
            return
        site.started_at = self.agenda.now
        self.trace.note(f"{site.name} starts, life {site.lives}")

    def _start_later(self, site: Site, seconds: float) -> None:
        self.agenda.after(seconds, lambda: self.start(site))

    def stop(self, site: Site) -> None:
        """This life ends at once; the store's files stay as they are."""
        if site.driver is not None:
            self.trace.note(f"{site.name} stops")
            site.driver.end()
            site.driver = None
            self.witness.bodies_lost(site.partner_id)
        if site.node is not None:
            site.held_when_down = self.held_by(site)
            cast(Disk, site.disk).crash(site.store)
            site.node = None

    def set_back(self, site: Site, name: str) -> None:
        """The disk is as it was when the snapshot was made; what only it held is gone for all."""
        self.stop(site)
        site.is_set_back = True
        before = site.held_when_down
        disk = cast(Disk, site.disk)
        disk.restore(name)
        store = disk.open()
        site.held_when_down = {entry.envelope_id for entry in store.log.entries(0, ALL)}
        self.witness.ever_held[site.partner_id] = store.log.is_seen(list(self.witness.published))
        store.close()
        for row in site.rows.values():
            self.configure(site, row.partner_id, row)
        for envelope_id in sorted(before - site.held_when_down):
            self._note_lost(site, envelope_id)
        self.trace.note(f"{site.name} is set back, {len(site.held_when_down)} of {len(before)} left")
        self.start(site)

    def _note_lost(self, site: Site, envelope_id: EnvelopeId) -> None:
        self.witness.acks.pop((site.partner_id, envelope_id), None)
        if not any(envelope_id in self.held_by(other) for other in self.honest):
            self.excused.add(envelope_id)

    def tell_room(self, site: Site) -> None:
        """Whether there is room on its disk."""
        if site.node is not None:
            cast(Disk, site.disk).set_room(site.store, has_room=not site.fulls)

    def held_by(self, site: Site) -> set[EnvelopeId]:
        """What its store holds now, or held when it went down, and has not expired."""
        if site.node is None:
            return site.held_when_down
        return {entry.envelope_id for entry in site.store.log.entries(0, ALL)}

    # --- configuration ---

    def configure(self, site: Site, partner: PartnerId, row: PartnerRow) -> None:
        """Changes what the site knows of a partner, as an operator would; at the next start when it is down."""
        site.rows[partner] = row
        self._write_row(site, partner)

    def forget(self, site: Site, partner: PartnerId) -> None:
        """The partner is removed, and its outbox with it: what waited there is not owed any more."""
        del site.rows[partner]
        for envelope_id, known in self.witness.published.items():
            if known.author == site.partner_id and partner in known.direct_to:
                self.forgotten_directs.add((partner, envelope_id))
        self._write_row(site, partner)

    def _note_links(self, site: Site) -> None:
        """From the store: a change waits until there is a store to write it to."""
        links = links_in(site.store.partners.all())
        self.witness.links[site.partner_id] = links
        self.circles_ever.setdefault(site.partner_id, set()).update(links.values())

    def _write_row(self, site: Site, partner: PartnerId) -> None:
        if site.node is None:
            self.agenda.after(RETRY_SECONDS, lambda: self._write_row(site, partner))
            return
        row = site.rows.get(partner)
        try:
            if row is None:
                drop_partner(site.store, partner)
            else:
                put_partner(site.store, row)
        except StoreError:
            self.agenda.after(RETRY_SECONDS, lambda: self._write_row(site, partner))
            return
        self._note_links(site)
        if site.driver is not None:
            site.driver.reload_roster()

    # --- publishing ---

    def _plan_traffic(self) -> None:
        random, traffic, span = self.random, self.scenario.traffic, self.scenario.seconds
        wishes: list[tuple[float, Site, Wish]] = []
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

    def _relayed(self, body_bytes: int) -> tuple[Site, Wish]:
        author = self.random.choice(self.honest)
        circle = CircleId.of(MAIN)
        for rule in self.scenario.circles:
            if author.number in rule.sites and self.random.random() < rule.share:
                circle = CircleId.of(rule.name)
        return author, Wish(circle, body_bytes, self.scenario.traffic.ttl_class)

    def _direct(self, body_bytes: int) -> tuple[Site, Wish]:
        author = self.random.choice(self.honest)
        peers = [peer for peer, row in author.rows.items() if row.has_link and self.by_id[peer].is_honest]
        recipients = self.random.sample(peers, min(len(peers), self.random.randint(1, 2)))
        wish = Wish(CircleId.of(MAIN), body_bytes, self.scenario.traffic.ttl_class, tuple(sorted(recipients)))
        return author, wish

    def _publish_later(self, seconds: float, author: Site, wish: Wish) -> None:
        self.agenda.after(seconds, lambda: self._publish(author, wish))

    def _publish(self, author: Site, wish: Wish) -> None:
        if author.node is None:
            self._publish_later(RETRY_SECONDS, author, wish)
            return
        now = int(self.agenda.now + author.skew_seconds)
        try:
            envelope = publish(author.store, author.identity, wish, now, self.random)
        except StoreError:  # the person who published was told so
            self.trace.note(f"{author.name} cannot publish")
            return
        self.trace.note(f"{author.name} publishes {envelope.envelope_id.short} {len(envelope.wire)}")
        self.witness.published[envelope.envelope_id] = Published(envelope, wish.direct_to, self.agenda.now)
        if author.driver is not None:
            author.driver.wake()

    # --- the play ---

    def run(self) -> None:
        """Traffic and faults, then peace, then quiet."""
        for site in self.sites:
            self._start_later(site, self.random.random())
        self._look()
        self._plan_traffic()
        for fault in self.scenario.faults:
            for _ in range(fault.times.count(self.random)):
                self._plan_fault(fault)
        self.agenda.run_until(START_SECONDS + self.scenario.seconds)
        self._calm()
        self._settle()
        if self.settled_after is not None:
            self._be_quiet()

    def _plan_fault(self, fault: Fault) -> None:
        at = self.scenario.seconds * 0.9 * self.random.random()
        lasts = min(fault.seconds.draw(self.random), self.scenario.seconds - at)
        site = self.random.choice(self.honest) if fault.site is None else self.sites[fault.site]

        def begin() -> None:
            self.trace.note(f"{site.name} fault {fault.kind}")
            undo = self._faults[fault.kind](self, site)
            self.agenda.after(lasts, undo)

        self.agenda.after(at, begin)

    def _calm(self) -> None:
        """No fault from here on. All that were planned have been undone by now, save what is retried."""
        self.trace.note("calm")
        quiet = self.scenario.weather
        self.wires.weather = type(quiet)(
            latency_seconds=quiet.latency_seconds, bytes_per_second=quiet.bytes_per_second
        )

    def _settle(self) -> None:
        end = START_SECONDS + self.scenario.seconds + self.scenario.settle_seconds
        step = SETTLE_STEP_SECONDS
        while self.agenda.now < end:
            self.agenda.run_until(min(end, self.agenda.now + step))
            step = min(SETTLE_STEP_SECONDS_MAX, 1.25 * step)
            if not self.missing():
                self.settled_after = self.agenda.now - START_SECONDS - self.scenario.seconds
                return

    def _be_quiet(self) -> None:
        """Nothing is left to do: what is done all the same?"""
        self.agenda.run_until(self.agenda.now + REST_SECONDS)
        bodies, requests, size = (
            self.witness.bodies_from_honest,
            self.wires.tally.requests.total(),
            self.wires.tally.bytes,
        )
        self.agenda.run_until(self.agenda.now + self.scenario.quiet_seconds)
        links = sum(self.can_talk(left, right) for left, right in combinations(self.honest, 2))
        minutes = self.scenario.quiet_seconds / 60 * max(1, links)
        self.quiet = Quiet(
            self.witness.bodies_from_honest - bodies,
            (self.wires.tally.requests.total() - requests) / minutes,
            (self.wires.tally.bytes - size) / minutes,
        )

    def _look(self) -> None:
        """At the tables of all honest engines, now and again."""
        for site in self.honest:
            if site.driver is not None:
                for name, size in site.driver.engine.sizes().items():
                    self.largest[name] = max(self.largest[name], size)
        self.agenda.after(self.scenario.seconds / LOOKS, self._look)

    def close(self) -> None:
        """Ends all lives and removes the folder."""
        for site in self.sites:
            if site.driver is not None:
                site.driver.end()
            if site.node is not None:
                site.node.store.close()
        self._folder.cleanup()

    # --- who lacks what ---

    def missing(self) -> list[str]:
        """What an honest partner should hold and does not; empty when all is everywhere."""
        if any(site.driver is None for site in self.honest):
            return ["somebody is down"]
        holding = {site.partner_id: self.held_by(site) for site in self.honest}
        lacking: list[str] = []
        for envelope_id, known in self.witness.published.items():
            if known.envelope.core.expires <= self.agenda.now:
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
        holders = [site for site in self.honest if envelope_id in holding[site.partner_id]]
        if len(holders) == len(self.honest):
            return []
        if not holders:
            is_owed = known.author in self.witness.honest and envelope_id not in self.excused
            return [f"nobody holds {envelope_id.short}"] if is_owed else []
        reached = self.reachable(holders, known.envelope.core.circle)
        return [
            f"{site.name} lacks {envelope_id.short}"
            for site in reached
            if envelope_id not in holding[site.partner_id]
        ]

    def reachable(self, origins: list[Site], circle: CircleId) -> list[Site]:
        """Honest partners whom a circle's envelopes reach from `origins` over honest links that carry it."""
        reached, open_sites = {site.number for site in origins}, list(origins)
        while open_sites:
            site = open_sites.pop()
            for other in self.honest:
                if other.number in reached or not self.can_talk(site, other):
                    continue
                links = self.witness.links
                here = links[site.partner_id][other.partner_id]
                there = links[other.partner_id][site.partner_id]
                if circle in here & there:
                    reached.add(other.number)
                    open_sites.append(other)
        return [site for site in self.honest if site.number in reached]

    def can_talk(self, left: Site, right: Site) -> bool:
        """Whether both have a link to the other and one of them can be dialled."""
        links = self.witness.links
        is_linked = right.partner_id in links[left.partner_id] and left.partner_id in links[right.partner_id]
        return is_linked and bool(left.identity.card.urls or right.identity.card.urls)


def memory_folder() -> str | None:
    """Where files live in memory, where there is such a place: a commit then waits for no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
