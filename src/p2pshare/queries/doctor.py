"""Doctor: a look at this node, for `p2pshare doctor`: files, keys, disk, store, clock, door, partners, and the alarms.

It only reads, needs no daemon and disturbs none, and goes on after a failure: any part of the node may be broken. What each
check looks at and may say is in docs/operations/doctor.md; the words are in `queries.doctor_words`.
"""

from __future__ import annotations

import os
import pwd
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from p2pshare.config import Config, load_config
from p2pshare.database.connection import network_kind
from p2pshare.database.integrity import quick_check
from p2pshare.envelope.card import Card, believe_chain
from p2pshare.envelope.keys import Identity
from p2pshare.errors import KeyFileError, PeerError, ShareError, StoreError
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.knowledge.state_table import EVALUATED_AT
from p2pshare.limits import FREE_SPACE_BYTES_MIN, FUTURE_DEFER_SECONDS, MIB
from p2pshare.node.beside import NodeBeside
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, KEY_FILE_NAME, STORE_NAME, WARNING_INDEX_NAME
from p2pshare.node.keyfile import find_passphrase, is_encrypted, read_identity, weakness_of
from p2pshare.node.store import StoreReading, reading_store
from p2pshare.queries.alarms import ALARMS, AlarmFunction, alarms
from p2pshare.queries.doctor_words import FAIL, FAULTS, OK, SEVERE, SKIPPED, Finding, fault
from p2pshare.queries.own_door import look_at_listener, look_at_url
from p2pshare.queries.partner_health import look_at_clocks, look_at_partners
from p2pshare.queries.status import DAY_SECONDS, KEYS_WARNING_DAYS, NodeStatus, PartnerStatus, partner_rows
from p2pshare.sharing.own_card import ends_of, needs_renewal
from p2pshare.warninglists.warning_index import count_imported

SPACE_WARNING_FACTOR = 4  # times the floor: time to make room before nothing new is taken
POST_QUANTUM_OPENSSL = (3, 5)  # the first with ML-KEM in TLS
FEED_LATE_SECONDS = 3_600  # the daemon sweeps each minute; a large publication or a full disk takes a while
TELLING = {"key-file-missing", "key-file-permissions", "key-file-damaged", "key-and-card-differ"}
"""Reasons of the key file that have words of their own."""
LOOK_HINT = "see the daemon's log, and tell the maintainers what you see here"


@dataclass
class Looking:
    """What every look is handed. `now` is unix seconds; `live` what the running daemon told of itself, None where none was asked;
    `held_ports` those at which the service manager listens for the daemon."""

    home: Path
    is_running: bool
    now: int
    live: NodeStatus | None = None
    alarm_functions: Sequence[AlarmFunction] = ALARMS
    held_ports: Collection[int] = ()

    @cached_property
    def owner(self) -> str:
        """The user whose the home is: the daemon's."""
        return user_name(self.home.stat().st_uid)

    @cached_property
    def is_guest(self) -> bool:
        """Whether another user looks than the daemon's, and not root: some files are not to be opened then."""
        return os.geteuid() not in (0, self.home.stat().st_uid)

    def is_closed(self, name: str) -> bool:
        """Returns whether a file of the home is there and may not be read by who looks."""
        return self.is_guest and not os.access(self.home / name, os.R_OK, effective_ids=True)

    def closed(self, check: str, name: str) -> Finding:
        return fault("not-looked-at", check, path=self.home / name, owner=self.owner)

    @cached_property
    def config(self) -> Config:
        return load_config(self.home / CONFIG_NAME)

    @cached_property
    def card(self) -> Card:
        """Our own card. Raises KeyFileError `card-file-damaged` where it is not whole."""
        try:
            return believe_chain((self.home / CARD_FILE_NAME).read_bytes())
        except PeerError as error:
            raise KeyFileError(error.reason, reason="card-file-damaged") from None
        except FileNotFoundError:
            raise KeyFileError("it is not there", reason="card-file-damaged") from None

    @contextmanager
    def store(self) -> Iterator[StoreReading]:
        with reading_store(self.home / STORE_NAME) as store:
            yield store

    def partners(self) -> list[PartnerStatus]:
        """Returns the partners, as the daemon sees them where one was asked. Raises ShareError."""
        if self.live is not None:
            return self.live.partners
        with self.store() as store:
            return partner_rows(NodeBeside(self.home, store), self.now)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


DoctorLook = Callable[[Looking], Iterator[Finding]]


def examine_node(
    home: Path,
    *,
    is_running: bool,
    now: int,
    live: NodeStatus | None = None,
    alarm_functions: Sequence[AlarmFunction] = ALARMS,
    held_ports: Collection[int] = (),
    looks_above: Mapping[str, DoctorLook] = {},
) -> list[Finding]:
    """Returns all findings about the node in `home`, in a fixed order of checks; `alarm_functions` as in
    `queries.status.status`, `held_ports` as in `Looking`, `looks_above` the checks of rooms above this one."""
    looking = Looking(home, is_running, now, live, alarm_functions, held_ports)
    looks: list[tuple[str, DoctorLook]] = [
        ("config", _config),
        ("permissions", _permissions),
        ("filesystem", _file_system),
        ("keys", _keys),
        ("passphrase", _passphrase),
        ("card", _card),
        ("certificate", _certificate),
        ("roots", _roots),
        ("disk", _disk),
        ("store", _store),
        ("feed", _feed),
        ("warning-lists", _warning_lists),
        ("clock", _clock),
        ("daemon", _daemon),
        ("listen", _listen),
        ("url", _url),
        ("partners", _partners),
        *looks_above.items(),
        ("alarm", _alarms),
    ]
    return [finding for check, look in looks for finding in _guarded(check, partial(look, looking), looking)]


def _guarded(check: str, look: Callable[[], Iterator[Finding]], looking: Looking) -> list[Finding]:
    """Returns the findings of a look; a look that fails is a finding too, and the others go on."""
    try:
        return list(look())
    except ShareError as error:
        if looking.is_guest:  # what another user may not open is no fault
            return [fault("not-looked-at", check, path=looking.home, owner=looking.owner)]
        if error.reason == "card-file-damaged" and check != "card":
            return [Finding(check, SKIPPED, "not looked at: our own card is damaged", "mend the card first")]
        if isinstance(error, StoreError) and check != "store":
            return [
                Finding(check, SKIPPED, "not looked at: the store cannot be read", "mend the store first")
            ]
        if check != "config" and error.reason == "config":
            return [Finding(check, SKIPPED, "not looked at: the config is wrong", "mend the config first")]
        if check == "config":
            return [fault("config", message=error.message, hint=error.hint or LOOK_HINT)]
        return [Finding(check, FAIL, error.message, error.hint or LOOK_HINT)]
    except PermissionError as error:
        path = error.filename or looking.home
        return [fault("not-looked-at", check, path=path, owner=looking.owner)]
    except OSError as error:
        what = (error.strerror or "unknown").lower()
        return [Finding(check, FAIL, f"cannot look: {what}", LOOK_HINT)]


def _config(looking: Looking) -> Iterator[Finding]:
    if looking.is_closed(CONFIG_NAME):
        yield looking.closed("config", CONFIG_NAME)
        return
    config = looking.config
    circles = ", ".join(config.gossip.circles) or "none"
    yield Finding("config", OK, f"circles: {circles}; publications are carried {config.ttl}")


def _permissions(looking: Looking) -> Iterator[Finding]:
    """Yields findings about what others may do with our files. The key file is looked at by `keyfile`, which refuses more."""
    found = []
    for path, forbidden, may in (
        (looking.home, 0o022, "change what is in it"),
        (looking.home, 0o005, "look into it"),
        (looking.home / CONFIG_NAME, 0o002, "change it"),
        (looking.home / STORE_NAME, 0o027, "read or change it"),
    ):
        if path.exists() and (mode := path.stat().st_mode & 0o777) & forbidden:
            words = {"path": path, "mode": f"{mode:04o}", "wanted": f"{mode & ~0o027:o}"}
            is_open = path == looking.home and forbidden == 0o005
            found.append(fault("open-home", **words) if is_open else fault("changeable", may=may, **words))
    yield from found or [Finding("permissions", OK, "home, config and store are not open to others")]


def _file_system(looking: Looking) -> Iterator[Finding]:
    kind = network_kind(looking.home)
    is_read_only = bool(os.statvfs(looking.home).f_flag & os.ST_RDONLY)
    if kind:
        yield fault("network-file-system", kind=kind)
    if is_read_only:
        yield fault("read-only-file-system", mount=_mount_point(looking.home))
    if not kind and not is_read_only:
        yield Finding("filesystem", OK, "the home lies on a disk of this machine that can be written")


def _mount_point(path: Path) -> Path:
    at = path.resolve()
    return next(one for one in (at, *at.parents) if one.is_mount())


def _identity(looking: Looking) -> Identity | None:
    """Returns keys and card; None where the key file has a passphrase that was not given. Raises KeyFileError."""
    path = looking.home / KEY_FILE_NAME
    try:
        passphrase = find_passphrase(os.environ)
    except KeyFileError:  # which has its own finding
        passphrase = None
    if is_encrypted(path) and passphrase is None:
        return None
    return read_identity(path, looking.home / CARD_FILE_NAME, passphrase)


def _keys(looking: Looking) -> Iterator[Finding]:
    path = looking.home / KEY_FILE_NAME
    if looking.is_closed(KEY_FILE_NAME):
        yield looking.closed("keys", KEY_FILE_NAME)
        return
    if path.exists() and path.stat().st_uid != looking.home.stat().st_uid:
        yield fault("key-file-owner", path=path, owner=looking.owner)
        return
    try:
        identity = _identity(looking)
    except KeyFileError as error:
        if error.reason == "card-file-damaged":
            raise
        if error.reason in TELLING:
            yield fault(error.reason, path=path, card=looking.home / CARD_FILE_NAME)
        else:
            yield fault("key-file-other", message=error.message, hint=error.hint or f"look at {path}")
        return
    if identity is None:
        yield Finding("keys", OK, "the key file has a passphrase and was not opened here")
        return
    told = "the key file opens and belongs to the card"
    yield Finding("keys", OK, told if is_encrypted(path) else f"{told}; it is not encrypted")


def _certificate(looking: Looking) -> Iterator[Finding]:
    for identity in _opened(looking):
        if isinstance(identity, Finding):
            yield Finding("certificate", SKIPPED, identity.message, identity.mend)
        elif identity.operational.tls.certificate not in identity.card.tls_certificates:
            yield fault("certificate-other")
        else:
            yield Finding("certificate", OK, "the card lists the TLS certificate of the key file")


def _roots(looking: Looking) -> Iterator[Finding]:
    for identity in _opened(looking):
        if isinstance(identity, Finding):
            yield Finding("roots", SKIPPED, identity.message, identity.mend)
            return
        here, needed = len(identity.roots), identity.card.threshold
        if here >= needed:
            yield Finding(
                "roots",
                OK,
                f"{here} of {needed} root keys are in the key file: keys are renewed by themselves",
            )
        elif needs_renewal(identity.card, looking.now):
            until = format_instant(ends_of(identity.card) * SECOND_US)
            yield fault("roots-elsewhere", here=here, needed=needed, until=until)
        else:
            yield Finding("roots", OK, f"{needed} root keys sign a card, and they are kept elsewhere")


def _opened(looking: Looking) -> Iterator[Identity | Finding]:
    """Yields the identity, or why it is not looked at."""
    if looking.is_closed(KEY_FILE_NAME):
        yield looking.closed("keys", KEY_FILE_NAME)
        return
    identity = None
    with suppress(KeyFileError, OSError):
        identity = _identity(looking)
        if identity is None:
            hint = "P2PSHARE_PASSPHRASE_FILE names the file whose first line it is"
            yield Finding("keys", SKIPPED, "not looked at: the key file has a passphrase", hint)
            return
    yield identity or Finding(
        "keys", SKIPPED, "not looked at: the key file does not open", "mend what `keys` or `card` says first"
    )


def _passphrase(looking: Looking) -> Iterator[Finding]:
    """None given is a choice. `keys` tells what is wrong with the key file itself."""
    try:
        passphrase = find_passphrase(os.environ)
    except KeyFileError as error:
        yield fault("passphrase-other", message=error.message, hint=error.hint or "look at the file it names")
        return
    if passphrase is None or looking.is_closed(KEY_FILE_NAME):
        yield Finding("passphrase", OK, "none is given here")
        return
    with suppress(KeyFileError):
        if not is_encrypted(looking.home / KEY_FILE_NAME):
            yield fault("passphrase-unused")
            return
        if weakness := weakness_of(passphrase):
            yield fault("passphrase-weak", weakness=weakness)
            return
    yield Finding("passphrase", OK, "one is given, and not easy to guess")


def _card(looking: Looking) -> Iterator[Finding]:
    try:
        card = looking.card
    except KeyFileError as error:
        yield fault("card-damaged", reason=error.message, path=looking.home / CARD_FILE_NAME)
        return
    end = ends_of(card)
    until, left_days = format_instant(end * SECOND_US), (end - looking.now) // DAY_SECONDS
    if looking.now >= end:
        yield fault("card-ended", until=until)
    elif left_days < KEYS_WARNING_DAYS:
        yield fault("card-ends", until=until, days=left_days)
    else:
        yield Finding("card", OK, f"partners believe this node until {until}")


def _disk(looking: Looking) -> Iterator[Finding]:
    floor = FREE_SPACE_BYTES_MIN
    with suppress(ShareError):  # a config that cannot be read has its own finding
        floor = looking.config.free_space_bytes_min
    usage = os.statvfs(looking.home)
    free = usage.f_bavail * usage.f_frsize
    words = {"free": free // MIB, "floor": floor // MIB}
    if free < floor:
        yield fault("disk-full", **words)
    elif free < SPACE_WARNING_FACTOR * floor:
        yield fault("disk-low", **words)
    else:
        yield Finding("disk", OK, "{free} MiB free, the floor is {floor} MiB".format(**words))


def _store(looking: Looking) -> Iterator[Finding]:
    path = looking.home / STORE_NAME
    if not path.exists():
        yield fault("store-missing")
        return
    if looking.is_closed(STORE_NAME):
        yield looking.closed("store", STORE_NAME)
        return
    mode = path.stat().st_mode & 0o777
    if not looking.is_guest and not (mode & 0o200 and os.access(path, os.W_OK, effective_ids=True)):
        yield fault("store-read-only", path=path, mode=f"{mode:04o}")
    try:
        faults = quick_check(path)
        if faults:
            yield fault("store-damaged", faults="; ".join(faults))
            return
        with looking.store() as store:  # and its schema is one that we know
            yield Finding("store", OK, f"the file is whole; {store.log.counts().held} envelopes")
    except StoreError as error:
        if looking.is_guest:
            raise
        if error.reason == "store-damaged":
            yield fault("store-damaged", faults="SQLite cannot read it")
        else:
            yield fault("store-other", message=error.message, hint=error.hint or "look at the disk")


def _feed(looking: Looking) -> Iterator[Finding]:
    if looking.is_closed(STORE_NAME):
        yield looking.closed("feed", STORE_NAME)
        return
    with looking.store() as store:
        evaluated_at = store.database.setting(EVALUATED_AT) or 0
    late = looking.now - evaluated_at if evaluated_at else 0
    if late >= FEED_LATE_SECONDS:
        yield fault("feed-late", hours=late // FEED_LATE_SECONDS)
    else:
        yield Finding("feed", OK, "the views and the change feed are up to date")


def _warning_lists(looking: Looking) -> Iterator[Finding]:
    if looking.is_closed(WARNING_INDEX_NAME):
        yield looking.closed("warning-lists", WARNING_INDEX_NAME)
        return
    imported = count_imported(looking.home / WARNING_INDEX_NAME)
    if imported:
        yield Finding("warning-lists", OK, f"{imported} lists are imported, beside those of the program")
    else:
        yield fault("lists-absent")


def _clock(looking: Looking) -> Iterator[Finding]:
    """Compare the clock with what is in our own store and on our card, with what partners sent, and with theirs."""
    found: list[Finding] = []
    with ExitStack() as opened:
        store = None
        if not looking.is_closed(STORE_NAME):
            with suppress(StoreError):  # which has its own finding
                store = opened.enter_context(looking.store())
        exchanged = store.partners.last_exchanges().values() if store is not None else ()
        latest = max([looking.card.not_before, *exchanged])
        if latest > looking.now + FUTURE_DEFER_SECONDS:
            found.append(fault("clock-went-back", latest=format_instant(latest * SECOND_US)))
        found += look_at_clocks(looking.live.partners if looking.live else [])
        ahead = _partners_ahead(store) if store is not None and not found else []
    if ahead:
        found.append(fault("from-the-future", names=", ".join(ahead)))
    if found:
        yield from found
    elif looking.live is None:
        yield Finding("clock", OK, "no partner sent anything from the future; no clock to compare with")
    else:
        yield Finding("clock", OK, "it agrees with the clocks of the partners that are connected")


def _partners_ahead(store: StoreReading) -> list[str]:
    names = store.partners.names()
    return sorted(
        names.get(account.partner) or account.partner.short
        for account in store.partners.accounts()
        if account.deferred or account.refused.get("from-the-future")
    )


def _daemon(looking: Looking) -> Iterator[Finding]:
    yield Finding("daemon", OK, "running") if looking.is_running else fault("not-running")
    version = ".".join(map(str, ssl.OPENSSL_VERSION_INFO[:2]))
    has_hybrid = ssl.OPENSSL_VERSION_INFO[:2] >= POST_QUANTUM_OPENSSL
    strength = "is post-quantum" if has_hybrid else "is not post-quantum; content is in any case"
    yield Finding("tls", OK, f"key exchange {strength} (OpenSSL {version})")


def _listen(looking: Looking) -> Iterator[Finding]:
    yield from look_at_listener(
        looking.config,
        looking.card.tls_certificates,
        is_running=looking.is_running,
        held_ports=looking.held_ports,
    )


def _url(looking: Looking) -> Iterator[Finding]:
    yield from look_at_url(
        looking.config.url, looking.card.urls, looking.card.tls_certificates, is_running=looking.is_running
    )


def _partners(looking: Looking) -> Iterator[Finding]:
    if looking.live is None and looking.is_closed(STORE_NAME):
        yield looking.closed("partners", STORE_NAME)
        return
    circles = looking.config.gossip.circles
    yield from look_at_partners(looking.partners(), circles, is_running=looking.live is not None)


def _alarms(looking: Looking) -> Iterator[Finding]:
    if looking.is_closed(STORE_NAME):
        if looking.live is None:
            yield looking.closed("alarm", STORE_NAME)
            return
        raised = looking.live.alarms
    else:
        with looking.store() as store:
            raised = alarms(
                store,
                looking.card,
                is_running=looking.is_running,
                now=looking.now,
                functions=looking.alarm_functions,
            )
    for alarm in raised:
        name = "severe-alarm" if alarm.word in SEVERE else "alarm"
        yield fault(name, word=alarm.word, message=alarm.message, hint=alarm.hint)
    if not raised:
        yield Finding("alarm", OK, "none")


CHECKS = frozenset({one.check for one in FAULTS.values()} - {"any"} | {"tls"})
"""Every check of this room and of those above it."""
