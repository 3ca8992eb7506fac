"""Doctor: a look at this node, for `p2pshare doctor`: files, keys, disk, store, clock, and the alarms.

It only reads, needs no daemon and disturbs none, and goes on after a failure: any part of the node may be broken. Each
finding is ok, warn (it works, and will not for ever) or fail (mend it now), with a hint for the latter two.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from p2pshare.config import load_config
from p2pshare.database.integrity import quick_check
from p2pshare.envelope.card import Card, believe_chain
from p2pshare.errors import KeyFileError, PeerError, ShareError, StoreError
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.limits import FREE_SPACE_BYTES_MIN, FUTURE_DEFER_SECONDS, MIB
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, KEY_FILE_NAME, STORE_NAME
from p2pshare.node.keyfile import find_passphrase, is_encrypted, read_identity, weakness_of
from p2pshare.node.store import StoreReading, reading_store
from p2pshare.queries.alarms import ALARMS, AlarmFunction, alarms
from p2pshare.queries.status import DAY_SECONDS, KEYS_WARNING_DAYS
from p2pshare.sharing.own_card import ends_of

OK, WARN, FAIL = "ok", "warn", "fail"
SPACE_WARNING_FACTOR = 4  # times the floor: time to make room before nothing new is taken
POST_QUANTUM_OPENSSL = (3, 5)  # the first with ML-KEM in TLS
SEVERE = frozenset(
    {"card-fork", "sequence-fork", "identity-used-twice"}
)  # keys may be stolen, or in two hands; others are warnings


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `check` and `level` (ok, warn, fail) are words that stay."""

    check: str
    level: str
    message: str
    hint: str = ""


DoctorLook = Callable[[Path], Iterator[Finding]]


def examine_node(
    home: Path,
    *,
    is_running: bool,
    now: int,
    alarm_functions: Sequence[AlarmFunction] = ALARMS,
    looks_above: Mapping[str, DoctorLook] = {},
) -> list[Finding]:
    """Returns all findings about the node in `home`, in a fixed order of checks; `alarm_functions` as in
    `queries.status.status`, `looks_above` the checks of rooms above this one."""
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("config", lambda: _config(home)),
        ("permissions", lambda: _permissions(home)),
        ("keys", lambda: _keys(home)),
        ("passphrase", lambda: _passphrase(home)),
        ("card", lambda: _card(home, now)),
        ("disk", lambda: _disk(home)),
        ("store", lambda: _store(home)),
        ("clock", lambda: _clock(home, now)),
        ("daemon", lambda: _daemon(is_running=is_running)),
        *((check, partial(look, home)) for check, look in looks_above.items()),
        ("alarm", lambda: _alarms(home, is_running, now, alarm_functions)),
    ]
    return [finding for check, look in looks for finding in _guarded(check, look)]


def _guarded(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Returns the findings of a look; a look that fails is a finding too, and the others go on."""
    try:
        return list(look())
    except ShareError as error:
        return [Finding(check, FAIL, error.message, error.hint)]
    except OSError as error:
        return [
            Finding(
                check,
                FAIL,
                f"cannot look: {(error.strerror or 'unknown').lower()}",
                "run as the daemon's user",
            )
        ]


def _config(home: Path) -> Iterator[Finding]:
    config = load_config(home / CONFIG_NAME)
    yield Finding(
        "config",
        OK,
        f"circles: {', '.join(config.gossip.circles) or 'none'}; publications are carried {config.ttl}",
    )


def _permissions(home: Path) -> Iterator[Finding]:
    """Yields findings about what others may do with our files. The key file is looked at by `keyfile`, which refuses more."""
    found = []
    for path, forbidden, may, level in (
        (home, 0o022, "change what is in it", FAIL),
        (home, 0o005, "look into it", WARN),
        (home / CONFIG_NAME, 0o002, "change it", FAIL),
        (home / STORE_NAME, 0o027, "read or change it", FAIL),
    ):
        if path.exists() and (mode := path.stat().st_mode & 0o777) & forbidden:
            mend = f"chmod {mode & ~0o027:o} {path}"
            found.append(Finding("permissions", level, f"others may {may}: {path} has mode {mode:04o}", mend))
    yield from found or [Finding("permissions", OK, "home, config and store are not open to others")]


def _keys(home: Path) -> Iterator[Finding]:
    path = home / KEY_FILE_NAME
    try:
        passphrase = find_passphrase(os.environ)
    except KeyFileError:  # which has its own finding
        passphrase = None
    has_passphrase = is_encrypted(path)
    if has_passphrase and passphrase is None:
        yield Finding("keys", OK, "the key file has a passphrase and was not opened here")
        return
    read_identity(path, home / CARD_FILE_NAME, passphrase)
    told = "the key file opens and belongs to the card"
    yield Finding("keys", OK, told if has_passphrase else f"{told}; it is not encrypted")


def _passphrase(home: Path) -> Iterator[Finding]:
    """Nothing where none is given: that is a choice. `keys` tells what is wrong with the key file itself."""
    passphrase = find_passphrase(os.environ)
    if passphrase is None:
        return
    with suppress(KeyFileError):
        hint = "keep the home and its backups where nobody else can read them"
        if not is_encrypted(home / KEY_FILE_NAME):
            yield Finding("passphrase", WARN, "one is given, and the key file is not encrypted", hint)
        elif weakness := weakness_of(passphrase):
            yield Finding("passphrase", WARN, f"it is easy to guess: {weakness}", hint)


def _card(home: Path, now: int) -> Iterator[Finding]:
    card = _own_card(home)
    end = ends_of(card)
    until, left_days = f"until {format_instant(end * SECOND_US)}", (end - now) // DAY_SECONDS
    hint = "`p2pshare card renew` does what a running daemon does by itself where the root keys are here"
    if now >= end:
        yield Finding("card", FAIL, f"partners believed this node {until}", hint)
    elif left_days < KEYS_WARNING_DAYS:
        yield Finding("card", WARN, f"partners believe this node {until}, {left_days} days more", hint)
    else:
        yield Finding("card", OK, f"partners believe this node {until}")


def _own_card(home: Path) -> Card:
    try:
        return believe_chain((home / CARD_FILE_NAME).read_bytes())
    except PeerError as error:
        raise KeyFileError(
            f"our own card is damaged ({error.reason})",
            hint="restore the file from a backup, or from a partner",
        ) from None


def _floor_bytes(home: Path) -> int:
    """Returns the configured floor of free space; the default where the config cannot be read, which has its own finding."""
    try:
        return load_config(home / CONFIG_NAME).free_space_bytes_min
    except ShareError:
        return FREE_SPACE_BYTES_MIN


def _disk(home: Path) -> Iterator[Finding]:
    floor = _floor_bytes(home)
    usage = os.statvfs(home)
    free = usage.f_bavail * usage.f_frsize
    space = f"{free // MIB} MiB free, the floor is {floor // MIB} MiB"
    if free < floor:
        yield Finding("disk", FAIL, f"{space}: nothing new is taken", "free some space")
    elif free < SPACE_WARNING_FACTOR * floor:
        yield Finding("disk", WARN, space, "free some space before nothing new is taken")
    else:
        yield Finding("disk", OK, space)


def _store(home: Path) -> Iterator[Finding]:
    faults = quick_check(home / STORE_NAME)
    if faults:
        raise StoreError(
            f"the store is damaged: {'; '.join(faults)}",
            hint="restore it from a backup; partners send again what is missing",
        )
    with reading_store(home / STORE_NAME) as store:  # and its schema is one that we know
        yield Finding("store", OK, f"the file is whole; {store.log.counts().held} envelopes")


def _clock(home: Path, now: int) -> Iterator[Finding]:
    """Compare the clock with what is in our own store and on our card, and with what partners sent."""
    begins = _own_card(home).not_before
    with reading_store(home / STORE_NAME) as store:
        latest = max([begins, *store.partners.last_exchanges().values()])
        if latest > now + FUTURE_DEFER_SECONDS:
            message = f"this clock is behind: it was already {format_instant(latest * SECOND_US)} here"
            yield Finding("clock", FAIL, message, "set the clock, and keep it by NTP")
            return
        ahead = _partners_ahead(store)
        if ahead:
            message = f"envelopes from the future came by {', '.join(ahead)}"
            yield Finding("clock", WARN, message, "compare clocks: theirs was ahead once, or this one behind")
        else:
            yield Finding("clock", OK, "no partner sent anything from the future")


def _partners_ahead(store: StoreReading) -> list[str]:
    names = store.partners.names()
    return sorted(
        names.get(account.partner) or account.partner.short
        for account in store.partners.accounts()
        if account.deferred or account.refused.get("from-the-future")
    )


def _daemon(*, is_running: bool) -> Iterator[Finding]:
    if is_running:
        yield Finding("daemon", OK, "running")
    else:
        yield Finding(
            "daemon", WARN, "not running: nothing comes and nothing leaves", "start it with `p2pshare run`"
        )
    version = ".".join(map(str, ssl.OPENSSL_VERSION_INFO[:2]))
    has_hybrid = ssl.OPENSSL_VERSION_INFO[:2] >= POST_QUANTUM_OPENSSL
    strength = "is post-quantum" if has_hybrid else "is not post-quantum; content is in any case"
    yield Finding("tls", OK, f"key exchange {strength} (OpenSSL {version})")


def _alarms(home: Path, is_running: bool, now: int, functions: Sequence[AlarmFunction]) -> Iterator[Finding]:
    own_card = _own_card(home)
    with reading_store(home / STORE_NAME) as store:
        raised = alarms(store, own_card, is_running=is_running, now=now, functions=functions)
    for alarm in raised:
        level = FAIL if alarm.word in SEVERE else WARN
        yield Finding("alarm", level, f"{alarm.word}: {alarm.message}", alarm.hint)
    if not raised:
        yield Finding("alarm", OK, "none")
