"""One life of the daemon, in the foreground: its parts are started in this order, and ended in the other.

1. the readers           of all payload kinds: a node that lacks one would take in what it cannot read
2. the home's lock       one daemon a home, before anything is touched
3. the node              in the writer thread, which owns the store from here on
4. the driver            knows the partners, dials them
5. the door              listens for them
6. the control socket    last: whoever reaches it reaches a working daemon

SIGTERM and SIGINT end it, SIGHUP reads the config again; a mistake in it is logged and the old one stays.
Log lines go to stderr: ids in short form, sizes and reason codes, never a value or a key.
"""

from __future__ import annotations

import asyncio
import gc
import grp
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, structs

from p2pshare import __version__
from p2pshare.audit_log import DONE, UNKNOWN_UID, append_record, require_auditable
from p2pshare.config import Config, LogConfig
from p2pshare.daemon.control import ControlServer, PeerCredentials, Permitted
from p2pshare.daemon.control_protocol import Message, short_name, socket_path
from p2pshare.daemon.driver import Driver
from p2pshare.daemon.exercise_rounds import ExerciseRounds
from p2pshare.daemon.home_lock import wait_for_home
from p2pshare.daemon.invitation_rounds import InvitationRounds
from p2pshare.daemon.journal import JournalFormatter
from p2pshare.daemon.lab_runs import AUTORUN_SECONDS, EXIT_NOT_FOUND, run_command, run_due
from p2pshare.daemon.log_levels import apply_levels
from p2pshare.daemon.service_manager import (
    handed_sockets,
    is_managed,
    notify,
    notify_reloading,
    watchdog_seconds,
    writes_to_journal,
)
from p2pshare.daemon.space_rounds import SpaceRounds, log_failure
from p2pshare.daemon.start_patience import asked_for_patience
from p2pshare.database.connection import StoreFailed
from p2pshare.errors import ConfigError, NotFoundError, OperatorError, RefusedError, ShareError, StoreError
from p2pshare.http_server.listener import EVERY_ADDRESS, is_name_of_loopback
from p2pshare.identifiers import CircleId, PartnerId, PublicationId
from p2pshare.limits import CLOCK_DOUBT_SECONDS, MIB, SWEEP_SECONDS
from p2pshare.node.bringing_forward import files_behind, forget_copies, upgrade_home
from p2pshare.node.home import CONFIG_NAME, require_home
from p2pshare.node.keys_apart import read_operational_keys_apart
from p2pshare.node.node import (
    DialledBack,
    Door,
    LinkState,
    Live,
    Node,
    Progress,
    WriterTimes,
    close_node,
    open_node,
)
from p2pshare.operations.aside_talk import AsideTalk, daemon_stops
from p2pshare.operations.audited import AUDITED, audited, outcome, subject
from p2pshare.operations.config_reloading import ConfigReloaded, ReloadConfig
from p2pshare.operations.crossing import fields_of, name_of
from p2pshare.operations.incident_alarms import EVERY_ALARM, AlarmLog
from p2pshare.operations.incident_indicators import IndicatorRounds
from p2pshare.operations.incident_labels import LabelRounds
from p2pshare.operations.incident_watch import WatchRounds
from p2pshare.operations.interface import AsideWork, LongRequest, Request
from p2pshare.operations.lab_autorun import AutorunRounds
from p2pshare.operations.payload_readers import load_readers
from p2pshare.operations.spaces import caught_up
from p2pshare.operations.table import OPERATIONS, exercise_in, node_for, read_request
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.interface import DoorLimits
from p2pshare.peering.server import PeerServer
from p2pshare.queries.alarms import alarms
from p2pshare.queries.refresh import reevaluate
from p2pshare.queries.standing import standing_line
from p2pshare.sharing import forwarding, spool, staging
from p2pshare.sharing.own_card import begin_after_restore, is_sure_of_card, needs_renewal, renew
from p2pshare.sharing.payload_kinds import Readers
from p2pshare.sharing.quarantining import evaluate_again
from p2pshare.spaces.exercise_grounds import exercises_of

log = logging.getLogger(__name__)

T = TypeVar("T")

LOG_FORMAT = "%(asctime)sZ %(levelname)s %(name)s: %(message)s"
TIDY_SECONDS = 60.0  # how often refusals are accounted for and the log is moved into the store ...
LOG_SECONDS = 1.0  # ... and how often it is looked whether it is long: by then a busy store adds some 10 MiB
SWITCH_SECONDS = 0.0001  # after which a thread that computes gives the interpreter to another: writer and loop ask for it often
WRITER_SECONDS_MAX = (
    2.0  # one call, whatever came: a warning above it, for others wait, the watchdog's ping among them
)
PING_SECONDS = 30.0  # between two pings that no watchdog asks for: half the period of the shipped unit's
CATCH_UP_SECONDS_MAX = (
    10.0  # a space of 50,000 entries is folded by then; members that write all the time hold nobody up longer
)
FORWARDING_SECONDS = (
    5.0  # at most between reading what is about an object that was handed on, and handing that on
)
SPOOL_SWEEP_SECONDS = 10.0  # how much longer than it may wait a prepared publication lies on the disk
INCIDENT_SECONDS = (
    2.0  # between two looks at what incidents ask of this node: a sighting is told well within a gossip round
)
ALARM_LOG_SECONDS = 15.0  # between two looks at what the log is told of; `status` looks when it is asked
STANDING_SECONDS = (
    20.0  # between two lines for `systemctl status`: as long as a person waits for one that is true
)
FETCH_SECONDS_MAX = 300.0  # of a member list with a thousand cards, for a person who waits
RENEWAL_SECONDS = 86_400.0  # between two looks whether the card's keys have served their time
CONFIG_DIGEST_DIGITS = 16  # of a digest that is compared by eye


def run_daemon(home: Path, log_level: str | None) -> None:
    """Run until SIGTERM. Raises ShareError when it cannot start: home busy, config, key file, port in use, a part of the
    program that is missing."""
    _log_to_stderr()
    apply_levels(LogConfig(), log_level)  # until the config is read
    readers = load_readers()
    _require_home(home)
    with wait_for_home(home, is_hopeless=partial(_is_answered, home)):
        asyncio.run(_run(home, readers, log_level))


def _require_home(home: Path) -> None:
    """Require a home. Raises ConfigError, with whose exit code a service manager does not try for ever."""
    try:
        require_home(home)
    except OperatorError as error:
        raise ConfigError(error.message, hint=error.hint, reason=error.reason) from None


def _is_answered(home: Path) -> bool:
    """Returns whether a daemon listens: a command ends soon, a daemon does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, suppress(OSError):
        with short_name(socket_path(home)) as name:
            connection.connect(name)
        return True
    return False


def _log_to_stderr() -> None:
    """Log in UTC, one line an event, warnings of libraries included; where stderr is the journal, as that takes it."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(format=LOG_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    if writes_to_journal(sys.stderr):
        for one in logging.getLogger().handlers:
            one.setFormatter(JournalFormatter())


async def _run(home: Path, readers: Readers, log_level: str | None) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    stop, reload = asyncio.Event(), asyncio.Event()
    _listen_to_signals(stop, reload)
    async with AsyncExitStack() as life:
        writer = WriterThread(life.enter_context(ThreadPoolExecutor(1, thread_name_prefix="writer")), stop)
        async with asked_for_patience():  # a store of an older version is brought forward here
            await _bring_forward(home, writer)
            node = await writer(open_node, home, read_operational_keys_apart)
            life.push_async_callback(writer, close_node, node)
            apply_levels(node.config.log, log_level)
            exercises = await writer(exercises_of, node)
        for damaged in exercises.damaged:
            log.error("the file of the exercise in %s is left alone: %s", damaged.realm.short, damaged.reason)
        await writer(spool.empty, home)  # what a crash left
        await writer(staging.tidy, node)
        life.push_async_callback(writer, spool.empty, home)
        await writer(begin_after_restore, node, int(time.time()))
        running = Running(node, writer, readers, log_level)
        await running.start(life)
        await running.note_start()
        _freeze_memory()
        writer.forget_times()
        notify("READY=1")
        log.info("ready")
        await running.serve(stop, reload)
        notify("STOPPING=1")
        log.info("stopping")
    log.info("stopped")
    if writer.failure is not None:
        raise writer.failure


async def _bring_forward(home: Path, writer: WriterThread) -> None:
    """Bring files that an older version left to this one's schemas, and say so: it may take minutes. Raises StoreError, DiskFull."""
    for path, schema, number in await writer(lambda: list(files_behind(home))):
        log.warning(
            "%s is brought from schema %d to %d; it is copied first", path.name, number, schema.number
        )
    for done in await writer(upgrade_home, home):
        log.warning(
            "%s has schema %d now; as it was before, it stands in %s", done.file, done.to_schema, done.copy
        )
        await _write_down(home, os.geteuid(), "upgrade", done.told)


async def _write_down(home: Path, uid: int, action: str, subject: str, result: str = DONE) -> None:
    """Write a record into the audit log, and a line with its place into the journal. What was done stays done where that fails."""
    try:
        place = await asyncio.to_thread(append_record, home, int(time.time()), uid, action, subject, result)
        log.info("audit %s: uid %d %s %s %s", place.short, uid, action, result, subject)
    except OSError as error:
        log.critical(
            "the audit log lacks: uid %d %s %s %s (%s)", uid, action, result, subject, type(error).__name__
        )


def _listen_to_signals(stop: asyncio.Event, reload: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)


def _freeze_memory() -> None:
    """Spare what lives as long as the daemon the walk of every later garbage collection."""
    gc.collect()
    gc.freeze()


class WriterThread:
    """Runs functions in the one thread that owns the store's writing side, in the order they were asked for.

    A disk that failed to write or sync is never asked again (docs/store.md, "Writing"): `failure` keeps
    the error, `stop` is set, and the daemon ends; its next start reads what is really there.
    """

    def __init__(self, pool: ThreadPoolExecutor, stop: asyncio.Event) -> None:
        self._pool = pool
        self._stop = stop
        self._waiting = 0
        self._counting = threading.Lock()
        self.failure: StoreFailed | None = None
        self.times = WriterTimes()

    async def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self.call(_name_of(function), function, *arguments)

    async def call(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function whose time is noted under `name`."""

        def run() -> T:
            self._count(-1)
            began = time.monotonic()
            try:
                return function(*arguments)
            finally:
                self._note(name, time.monotonic() - began)

        self._count(1)
        waiting = self._pool.submit(run)
        waiting.add_done_callback(lambda done: self._count(-1) if done.cancelled() else None)
        with self._ending_at_failure():
            return await asyncio.wrap_future(waiting)

    async def beside(self, function: Callable[[], None]) -> None:
        """Run a function that works on the store's file in a thread of its own, while the writer goes on."""
        with self._ending_at_failure():
            await asyncio.to_thread(function)

    @contextmanager
    def _ending_at_failure(self) -> Iterator[None]:
        try:
            yield
        except StoreFailed as error:
            if self.failure is None:
                log.critical("the disk failed, the daemon ends: %s", error.message)
                self.failure = error
                self._stop.set()
            raise

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change

    def is_wanted(self) -> bool:
        """Returns whether a function waits for the thread."""
        return self._waiting > 0

    async def ping(self, function: Callable[[], object]) -> None:
        """Run a function that costs nothing, and note how long its turn and it took."""
        began = time.monotonic()
        await self(function)
        seconds = time.monotonic() - began
        if seconds > WRITER_SECONDS_MAX:
            log.warning("a ping of the store's writer came back after %.1f s", seconds)
        with self._counting:
            if seconds > self.times.longest_ping_seconds:
                self.times = structs.replace(self.times, longest_ping_seconds=round(seconds, 3))

    def forget_times(self) -> None:
        """Begin to measure: nobody waits for a daemon that has not started."""
        self.times = WriterTimes()

    def _note(self, name: str, seconds: float) -> None:
        is_over = seconds > WRITER_SECONDS_MAX
        if is_over:
            log.warning("the store's writer was held for %.1f s by %s", seconds, name)
        with self._counting:
            times = self.times
            if seconds > times.longest_seconds:
                times = structs.replace(times, longest_seconds=round(seconds, 3), longest_call=name)
            self.times = structs.replace(times, over_limit=times.over_limit + is_over)


def _name_of(function: Callable[..., object]) -> str:
    """Returns the name of a function of this program, without its arguments: nothing of what came is in it."""
    return str(getattr(function, "__qualname__", type(function).__name__))


class Running:
    """The parts of a running daemon, and what passes between them. All from one event loop."""

    def __init__(
        self, node: Node, writer: WriterThread, readers: Readers, log_level: str | None = None
    ) -> None:
        self._node = node
        self._writer = writer
        self._log_level = log_level
        self._driver = Driver(node, writer, readers)
        self._invitations = InvitationRounds(node, writer, self._driver.gate, self._driver.hear)
        self._server = PeerServer(
            self._driver,
            self._driver.gate,
            _door_limits(node.config),
            guests=self._driver,
            invitations=self._invitations,
        )
        self._is_stopping = asyncio.Event()
        self._lists_changed = asyncio.Event()
        self._is_stale = asyncio.Event()
        self._is_staged = asyncio.Event()
        self._chain = asyncio.Lock()
        """Held while our chain or card may change: by what publishes, and by a publication in steps until it is in the log."""
        self._entries = asyncio.Lock()
        """Held by who writes entries in spaces, before `_chain`: those of one request stand directly behind each other."""
        self._spaces = SpaceRounds(node, writer, self._driver, self._chain)
        self._exercises = ExerciseRounds(node, writer, self._spaces, self._entries)
        self._log_lock = asyncio.Lock()

    async def start(self, life: AsyncExitStack) -> None:
        """Start the parts; `life` ends them in the other order. Raises OperatorError (port in use, ...)."""
        await self._driver.start()
        await self._invitations.follow()
        life.push_async_callback(self._driver.stop)
        await self._listen(life)
        permitted = Permitted(os.geteuid(), _group_id(self._node.config.control.group))
        control = ControlServer(socket_path(self._node.home), permitted, self._perform)
        await control.start()
        life.push_async_callback(control.stop)

    async def note_start(self) -> None:
        """Note in the audit log that a daemon starts, with the version of the program and the beginning of the config's digest: a config that
        was changed while none ran is seen by it."""
        raw = await asyncio.to_thread((self._node.home / CONFIG_NAME).read_bytes)
        config = hashlib.sha256(raw).hexdigest()[:CONFIG_DIGEST_DIGITS]
        await self._audit(os.geteuid(), "start", f"version={__version__} config={config}")

    async def _listen(self, life: AsyncExitStack) -> None:
        """Listen where the config says, or on what a socket unit handed over: then `listen` in the config is what partners are told."""
        address = self._node.config.listen_address
        handed = handed_sockets()
        if address is None:
            for one in handed:
                one.close()
            if handed:
                log.warning(
                    "the service manager's socket is not used: this node has no `url`, it dials its partners"
                )
            log.info("listening nowhere: this node dials its partners")
            return
        life.push_async_callback(self._server.stop)
        if not handed:
            host, port = address
            if not self._node.config.listen and await is_name_of_loopback(host):
                log.warning(
                    "'%s' is an address of this machine alone here (see /etc/hosts): listening on all addresses",
                    host,
                )
                host = EVERY_ADDRESS
            await self._server.start(host, port)
            log.info("listening on %s", ", ".join(self._server.addresses))
            return
        self._server.start_on(handed)
        for one in handed:
            host, port = one.getsockname()[:2]
            log.info(
                "listening on %s port %d, a socket of the service manager; `listen` in the config is not used",
                host,
                port,
            )

    async def serve(self, stop: asyncio.Event, reload: asyncio.Event) -> None:
        """Work until `stop` is set: reload when asked, ping the watchdog, keep the accounts and the store tidy."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(work)
                for work in (
                    self._reload_when(reload),
                    self._tidy(),
                    self._keep_log_short(),
                    self._reevaluate(),
                    self._follow_lists(),
                    self._sweep_spool(),
                    self._seal_on(),
                    self._hand_on(),
                    self._renew_card(),
                    self._spaces.run(),
                    self._invitations.run(),
                    self._follow_incidents(),
                    self._exercises.run(),
                    self._log_alarms(),
                    self._tell_standing(),
                    self._try_rules(),
                )
            ]
            background.append(tasks.create_task(self._ping(watchdog_seconds())))
            await stop.wait()
            self._is_stopping.set()
            for task in background:
                task.cancel()
        await self._account()

    async def _perform(self, message: Message, report: Progress, asker: PeerCredentials) -> Message:
        """Perform one operation for the command line, and write down who asked for it. Where that cannot be written nothing is done."""
        exercise, fields = exercise_in(message)
        request = read_request(fields)
        if (row := audited(request)) is None:
            return fields_of(await self._do(request, exercise, report))
        await asyncio.to_thread(require_auditable, self._node.home)
        try:
            answer = await self._do(request, exercise, report)
        except Exception as error:
            reason = error.reason if isinstance(error, ShareError) else "internal"
            await self._audit(asker.uid, row.action, subject(row, request, None, exercise), reason)
            raise
        if result := outcome(row, answer):
            await self._audit(asker.uid, row.action, subject(row, request, answer, exercise), result)
        return fields_of(answer)

    async def _audit(self, uid: int, action: str, subject: str, result: str = DONE) -> None:
        await _write_down(self._node.home, uid, action, subject, result)

    async def _do(self, request: Request[Any], exercise: str, report: Progress) -> Struct:
        """Perform one operation, in the writer thread unless it only reads, and wake the parts that must look again."""
        operation = OPERATIONS[name_of(request)]
        if operation.reloads_config and not exercise:  # of an exercise it is refused below
            return await self._reload()
        node = await self._writer(node_for, self._node, request, exercise) if exercise else self._node
        if operation.reports_refusals or not operation.reads_only:
            await self._account()
        writes_entries = operation.writes_spaces or (bool(exercise) and operation.publishes)
        if writes_entries:
            await self._spaces.wait_for_heads(node)
            latest = time.monotonic() + CATCH_UP_SECONDS_MAX
            while time.monotonic() < latest:  # others write between two slices
                if await self._writer.call("space", caught_up, node, request, int(time.time())):
                    break
        self._node.live = self._live()

        def run() -> Struct:  # the clock of the moment in which it begins
            try:
                answer: Struct = request.run(node, int(time.time()), report)
            except StopIteration as error:  # no future carries it: the asker would wait for ever
                raise RuntimeError("StopIteration left an operation") from error
            return answer

        if operation.reads_only:
            answer = await asyncio.to_thread(run)
        else:
            async with AsyncExitStack() as turns:
                if writes_entries:
                    await turns.enter_async_context(self._entries)
                if operation.publishes or operation.changes_card:
                    await turns.enter_async_context(self._chain)
                name = f"operation {name_of(request)}"
                if isinstance(request, LongRequest):
                    answer = await self._in_steps(name, node, request)
                else:
                    answer = await self._writer.call(name, run)
        if operation.changes_roster:
            self._is_stale.set()
            await self._follow_roster()
        if operation.changes_invitations:
            await self._invitations.follow()
        if operation.awaits_cards:
            self._driver.fetch_awaited()
        if operation.changes_card:
            await self._driver.follow_card()
        if operation.changes_lists:
            self._lists_changed.set()
        if operation.writes_spaces or exercise:
            self._spaces.wake()
        if operation.publishes or operation.wakes:
            self._driver.wake()
            self._is_staged.set()
        return answer

    async def _in_steps(self, name: str, node: Node, request: LongRequest[Struct]) -> Struct:
        """Do a request step after step, other work of the writer in between; what needs no node beside it. Raises ShareError."""
        steps = request.steps(node, int(time.time()))
        answer: Struct | None = None
        while answer is None:
            done: Struct | AsideWork[Any] | None = await self._writer.call(name, next, steps)
            if isinstance(done, AsideTalk):
                await self._talk(done)
            elif isinstance(done, AsideWork):
                await asyncio.to_thread(done.do)
            else:
                answer = done
        return answer

    async def _talk(self, talk: AsideTalk[Any]) -> None:
        """Do what waits for other nodes, until the daemon is told to stop. Raises ShareError."""
        if self._is_stopping.is_set():
            raise daemon_stops()
        cutting = asyncio.create_task(self._is_stopping.wait())
        cutting.add_done_callback(lambda done: None if done.cancelled() else talk.cut())
        try:
            await asyncio.to_thread(talk.do)
        finally:
            cutting.cancel()
            talk.cut()  # nobody waits for it any more

    async def _unless_stopped(self, asked: Coroutine[Any, Any, T]) -> T:
        """Returns what the driver's question to other nodes comes to. Raises ShareError, also when the daemon is told to stop."""
        asking, stopping = asyncio.create_task(asked), asyncio.create_task(self._is_stopping.wait())
        try:
            await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise daemon_stops()
            return asking.result()
        finally:
            asking.cancel()
            stopping.cancel()

    def _live(self) -> Live:
        refused = dict(sorted(self._server.tally.handshakes_refused.items()))
        guests = dict(sorted(self._server.guest_outcomes.items()))
        door = Door(self._server.requests_seen, refused, guests)
        return Live(
            self._driver.peer_states(),
            door,
            self._writer.times,
            partial(self._fetch_introductions, asyncio.get_running_loop()),
            self._dial_back_asker(),
        )

    def _fetch_introductions(
        self, loop: asyncio.AbstractEventLoop, peer: PartnerId, circle: CircleId, progress: Progress
    ) -> bytes:
        """Have the driver fetch a member list, from another thread than its loop's. Raises ShareError."""
        fetching = asyncio.run_coroutine_threadsafe(
            self._unless_stopped(self._driver.fetch_introductions(peer, circle, progress)), loop
        )
        try:
            return fetching.result(FETCH_SECONDS_MAX)
        except TimeoutError:
            fetching.cancel()
            raise PeerUnreachable(
                "the partner did not give its list and cards in time", reason="timeout"
            ) from None

    def _dial_back_asker(self) -> Callable[[], list[DialledBack]]:
        """Returns what an operation, which is in another thread, asks partners by to dial us."""
        loop = asyncio.get_running_loop()

        def ask() -> list[DialledBack]:
            asking = self._unless_stopped(self._driver.ask_dial_back())
            return asyncio.run_coroutine_threadsafe(asking, loop).result()

        return ask

    async def _follow_roster(self) -> None:
        """Take the roster in anew: a partner that was removed is unpinned first, then its connections are cut."""
        before = {entry.partner_id for entry in self._driver.roster.links()}
        await self._driver.reload_roster()
        for partner_id in before - {entry.partner_id for entry in self._driver.roster.links()}:
            self._server.drop(partner_id)

    async def _reload_when(self, reload: asyncio.Event) -> None:
        while True:
            await reload.wait()
            reload.clear()
            try:
                done = await self._reload()
                await self._audit(
                    UNKNOWN_UID, "config-reload", subject(AUDITED["config-reload"], ReloadConfig(), done)
                )
            except ShareError as error:  # it is in the log
                await self._audit(UNKNOWN_UID, "config-reload", "", error.reason)

    async def _reload(self) -> ConfigReloaded:
        """Take the new config where that is possible while running; the service manager hears of it. Raises ConfigError, and the old one
        stays."""
        notify_reloading()
        try:
            request = partial(ReloadConfig().run, self._node, int(time.time()), lambda *_: None)
            done = await self._writer.call("config-reload", request)
            self._is_stale.set()
            await (
                self._driver.reload_roster()
            )  # what was refused for a quota, or waits for it unread, may have room now
            self._driver.wake()
        except ShareError as error:
            log.error("the config was not reloaded: %s", error.message)
            raise
        finally:
            notify("READY=1")
        apply_levels(self._node.config.log, self._log_level)
        log.info("config reloaded")
        return done

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            await self._account()
            await self._move_log()
            await self._forget_copies()

    async def _forget_copies(self) -> None:
        """Remove what an upgrade has left a week ago; not in doubt of the clock, for then nobody knows what a week is."""
        moment = self._driver.moment
        if moment.is_doubtful:
            return
        try:
            for name in await self._writer(forget_copies, self._node.home, moment.now):
                log.info("the copy %s of before an upgrade has had its time", name)
        except ShareError as error:
            log.error("a copy of before an upgrade stays: %s", error.message)

    async def _keep_log_short(self) -> None:
        self._node.store.database.leave_log()
        while True:
            await asyncio.sleep(LOG_SECONDS)
            if self._node.store.database.is_log_long:
                await self._move_log()

    async def _move_log(self) -> None:
        """Move the store's log into its file: what is there beside the writer, and in the writer's turn what came meanwhile."""
        database = self._node.store.database
        try:
            async with self._log_lock:
                await self._writer.beside(database.checkpoint_beside)
                await self._writer(database.checkpoint)
        except ShareError as error:
            log.error("the store was not tidied: %s", error.reason)

    async def _reevaluate(self) -> None:
        """Evaluate again what time, the roster or a setting has changed, batch after batch, other writers in between."""
        while True:
            self._is_stale.clear()
            try:
                is_more = True
                while is_more:
                    moment = self._driver.moment  # in doubt of the clock nothing leaves the views for its age
                    evaluate = partial(
                        reevaluate, self._node, int(moment.now), may_end=not moment.is_doubtful
                    )
                    is_more = await self._writer.call("reevaluate", evaluate)
            except ShareError as error:
                log.error("what is over was not evaluated: %s", error.reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._is_stale.wait()

    async def _follow_lists(self) -> None:
        """Evaluate what is stored under lists that changed, or whose evaluation did not end: a step at a time, so that others
        write in between. The command that changed them does the same; both follow one cursor."""
        while True:
            self._lists_changed.clear()
            is_finished = False
            while not is_finished:
                try:
                    step = await self._writer(evaluate_again, self._node, int(time.time()))
                    is_finished = step.is_finished
                except ShareError as error:
                    log.error("the store is not evaluated under the new warning lists: %s", error.reason)
                    await asyncio.sleep(TIDY_SECONDS)
            await self._lists_changed.wait()

    async def _follow_incidents(self) -> None:
        """Send and withdraw our indicators as incidents stand, and tell what of a closed one is seen again."""
        indicators, watch = IndicatorRounds(self._node), WatchRounds(self._node)
        labels = LabelRounds(self._node)
        while True:
            await asyncio.sleep(INCIDENT_SECONDS)
            try:
                await self._spaces.wait_for_heads()
                async with self._chain:
                    if await self._writer(indicators.step, int(time.time())):
                        self._driver.wake()
                await self._writer(labels.step)
                async with self._entries:
                    has_written = await self._writer(watch.step, int(time.time()))
                if has_written:
                    self._spaces.wake()
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one incident
                log_failure("incidents are not followed", error)
                await asyncio.sleep(TIDY_SECONDS)

    async def _try_rules(self) -> None:
        """With `autorun` in the section `[lab]`: try rules of labs as they come."""
        rounds = AutorunRounds(self._node)
        while True:
            await asyncio.sleep(AUTORUN_SECONDS)
            if not self._node.config.lab.autorun:
                continue
            try:
                await self._spaces.wait_for_heads()
                due = await self._writer(rounds.next_due, int(time.time()))
                if due is not None:
                    code = await run_due(run_command(self._node.home, due))
                    if code == EXIT_NOT_FOUND:
                        rounds.come_back(due, int(time.time()))
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one lab
                log_failure("rules of labs are not tried", error)
                await asyncio.sleep(TIDY_SECONDS)

    async def _log_alarms(self) -> None:
        """Tell the log what spaces and incidents ask of a person."""
        told = AlarmLog(self._node)
        while True:
            await asyncio.sleep(ALARM_LOG_SECONDS)
            try:
                await asyncio.to_thread(told.step, int(time.time()))
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one alarm
                log_failure("alarms were not looked at", error)
                await asyncio.sleep(TIDY_SECONDS)

    async def _tell_standing(self) -> None:
        """Tell the service manager how this node stands."""
        while is_managed():
            try:
                notify(f"STATUS={await asyncio.to_thread(self._standing, self._driver.peer_states())}")
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one alarm
                log_failure("the service manager was not told how this node stands", error)
            await asyncio.sleep(STANDING_SECONDS)

    def _standing(self, links: Mapping[PartnerId, LinkState]) -> str:
        store, card, now = self._node.store, self._node.card, int(time.time())
        asking = alarms(store, card, is_running=True, now=now, functions=EVERY_ALARM)
        return standing_line(self._node, links, asking)

    async def _sweep_spool(self) -> None:
        """Remove publications that were prepared and never sealed: their askers are gone, or still think."""
        while True:
            await asyncio.sleep(SPOOL_SWEEP_SECONDS)
            try:
                await self._writer.call("spool.sweep", self._swept)
            except ShareError as error:
                log.error("what was prepared and never sealed was not removed: %s", error.message)

    def _swept(self) -> None:
        """Sweep by the clock of the moment in which it begins: what became ready while this waited for the writer would be
        from the future."""
        spool.sweep(self._node.home, int(time.time()))

    async def _seal_on(self) -> None:
        """Go on with publications on their way out, those of an earlier life among them, one after another. The command that
        began one does the same; both follow one cursor."""
        while True:
            self._is_staged.clear()
            put_off: set[PublicationId] = set()
            while (publication := staging.next_publication(self._node.store, put_off)) is not None:
                try:
                    await self._finish(publication)
                except NotFoundError:
                    continue  # the command has done the last step
                except StoreError as error:
                    log.error("publication %s waits: %s", publication.short, error.message)
                    break
                except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one publication
                    log_failure(f"publication {publication.short} does not go on", error)
                    put_off.add(publication)
            with suppress(TimeoutError):
                async with asyncio.timeout(TIDY_SECONDS):
                    await self._is_staged.wait()

    async def _hand_on(self) -> None:
        """Hand others' envelopes on to partners that came later: what was begun, and what has been read since about that, one step
        after another (`sharing.forwarding`)."""
        while True:
            put_off: set[PartnerId] = set()
            while (partner := forwarding.next_forwarding(self._node.store, put_off)) is not None:
                try:
                    async with self._chain:
                        step = partial(forwarding.step, self._node, partner, int(time.time()))
                        await self._writer.call("handing on", step)
                    self._driver.wake()
                except NotFoundError:
                    continue  # the partner was removed meanwhile
                except RefusedError as error:
                    log.info("handing on to %s waits: %s", partner.short, error.reason)
                    put_off.add(partner)
                except StoreError as error:
                    log.error("handing on waits: %s", error.message)
                    break
                except Exception as error:  # noqa: BLE001 the daemon outlives a bug for one partner
                    log_failure(f"handing on to {partner.short} waits", error)
                    put_off.add(partner)
            await asyncio.sleep(TIDY_SECONDS if put_off else FORWARDING_SECONDS)

    async def _finish(self, publication: PublicationId) -> None:
        """Do every step that is left. Nothing else is published before it is in the log: its envelopes are sealed behind one
        another, and a card that takes their key back must know of them."""
        async with self._chain:
            while (step := await self._step(publication)).what != staging.STORED:
                pass
        while not step.is_finished:
            step = await self._step(publication)

    async def _step(self, publication: PublicationId) -> staging.StagingStep:
        step = await self._writer.call(
            "a step of a publication", staging.step, self._node, publication, int(time.time())
        )
        if step.has_left:
            self._driver.wake()
        return step

    async def _renew_card(self) -> None:
        """Renew the keys on our card when they have served their time. Where that fails, for the roots are kept offline, say,
        it is tried again each day, and becomes an alarm (`queries.alarms`)."""
        while True:
            self._driver.clock_believed.clear()
            moment = self._driver.moment
            now, is_sure = int(moment.now), False
            # not in doubt of the clock: a card from the future would be believed by nobody until then
            try:
                is_sure = await self._writer(is_sure_of_card, self._node)
                if is_sure and not moment.is_doubtful and needs_renewal(self._node.card, now):
                    renewing = partial(renew, self._node, now, must_finish=True)
                    issued = await self._writer.call("renewing the card", renewing)
                    await self._audit(os.geteuid(), "keys-renew", f"version={issued.version}")
                    log.info("the keys on our card were renewed: version %d", issued.version)
                    await self._driver.follow_card()
            except ShareError as error:
                log.error("the keys on our card were not renewed: %s", error.message)
            is_soon = moment.is_doubtful or not is_sure
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOCK_DOUBT_SECONDS if is_soon else RENEWAL_SECONDS):
                    await self._driver.clock_believed.wait()

    async def _account(self) -> None:
        """Move refusals at the door to the long accounts, partner by partner."""
        for (partner_id, reason), count in self._server.tally.take_refused().items():
            try:
                await self._writer(self._node.store.partners.count_refusals, partner_id, {reason: count})
            except ShareError as error:
                log.error("%d refusals (%s) could not be noted: %s", count, reason, error.reason)

    async def _ping(self, period: float | None) -> None:
        """Ping after a round trip of the store: a writer that hangs is a daemon that hangs. Where no watchdog waits for it
        (None), the round trip is measured all the same."""
        while True:
            await self._writer.ping(self._node.store.log.last_lsn)
            if period is not None:
                notify("WATCHDOG=1")
            await asyncio.sleep(PING_SECONDS if period is None else period)


def _door_limits(config: Config) -> DoorLimits:
    return DoorLimits(
        requests_per_second=config.limits.requests_per_second,
        bytes_per_second=config.limits.mib_per_second * MIB,
        items_per_second=config.limits.envelopes_per_second,
    )


def _group_id(name: str) -> int | None:
    """Returns the id of the system group `name`; None for no group. Raises ConfigError."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            f"control.group: there is no system group '{name}'", hint="`groupadd` it, or leave it empty"
        ) from None
