"""The configuration: one TOML file in the home folder, read into frozen dataclasses.

Every field is explained beneath it, with the effects of too low and too high. An unknown key, a wrong type or a
value out of range is refused with file, line and the nearest known key; nothing is guessed. The same
texts stand in `config/example.toml`; a test demands that no field is missing there.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import operator
import re
import sys
import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

from p2pshare.errors import ConfigError
from p2pshare.identifiers import CircleId
from p2pshare.limits import MIB, TTL_CLASS_BY_NAME

NAME_CHARACTERS_MAX = 64  # an organisation's name must fit a table's column
SUFFIX_PATTERN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,9}")
PROXY_HOST_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,253}")
ALIAS_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class GossipConfig:
    """Settings of gossip: circles, comparisons, dialling."""

    circles: tuple[str, ...] = ("main",)
    """Circles that every link carries. Both sides must name a circle for it to pass. Empty: nothing is relayed."""

    reconcile_seconds: int = 60
    """Pause between comparisons with a partner while they find differences; doubles to 15 minutes while they
    do not. Lower finds losses sooner and costs more requests; higher leaves a partner behind for longer."""

    connect_timeout_seconds: int = 10
    """How long a dial may take. Lower gives up on slow links; higher keeps dead partners in flight longer."""

    proxy: str = ""
    """The proxy that every dial goes through: http://HOST:PORT (it must allow CONNECT to your partners' ports) or
    socks5://HOST:PORT. It resolves partners' names, and reads nothing: TLS ends at the partner. Empty: none."""

    proxy_login: str = ""
    """A file whose first line is NAME:PASSWORD for the proxy; readable by the daemon's user alone. Empty: the proxy wants none."""


@dataclass(frozen=True)
class PolicyConfig:
    """Rules for data that may leave, and for data that a SIEM may see."""

    siem_red: bool = False
    """Whether TLP:RED claims appear in the SIEM views. RED is for named persons: off unless you are sure."""

    relay_strict: bool = False
    """Whether TLP:AMBER+STRICT and TLP:RED may be carried, still sealed, by relays that cannot read them.
    Off: they go only straight from here to their recipients, and a recipient without a link is refused."""


@dataclass(frozen=True)
class PrivacyConfig:
    """Values of our own that must not leave by mistake: `publish` refuses them unless --share-private is given."""

    internal_domains: tuple[str, ...] = (
        "corp",
        "home",
        "home.arpa",
        "internal",
        "intranet",
        "lan",
        "local",
        "localdomain",
        "private",
    )
    """Domains of your own, each with all below it; ASCII (punycode). Add those your network uses inside, such as
    "int.cert.example". Too few: names of your machines leave. A domain you publish about is none to add."""

    mail_domains: tuple[str, ...] = ()
    """Domains of your staff's e-mail addresses, each with all below it. Addresses there are people of yours."""


@dataclass(frozen=True)
class LifecycleConfig:
    """Lifecycle of shared values: when they stop to count here."""

    false_positive_reports: int = 2
    """How many trusted organisations must call a value a false positive before it is quarantined here. 1 lets any
    single partner switch off what others claim; higher waits longer while a mistake does harm."""


@dataclass(frozen=True)
class StoreConfig:
    """The local store."""

    free_space_mib_min: int = 64
    """Below this much free space (MiB) nothing new is acknowledged; 256 MiB above it reading stops. Lower risks a store
    that cannot check-point."""

    cache_mib: int = 64
    """Page cache of the writing connection (MiB). Lower slows ingest of large stores; higher only takes memory: with
    256 the daemon may take 350."""


@dataclass(frozen=True)
class LimitsConfig:
    """Limits of one partner at this node. Beyond them the answer is to slow down (429); the partner is not punished."""

    requests_per_second: int = 50
    """Sustained requests of one partner. Lower slows catching up; higher lets one partner take more of the CPU."""

    mib_per_second: int = 32
    """Sustained bytes received from one partner (MiB/s)."""

    envelopes_per_second: int = 200
    """Sustained envelopes of one partner; each costs about a millisecond of verification."""

    author_mib: int = 1024
    """Room for one author's envelopes here, in each circle, while they are carried (MiB; a thousand
    indicators take a tenth of one). Beyond it they are refused until older ones expire. Lower may refuse a partner
    with large lists; higher lets one partner fill more of the disk."""


@dataclass(frozen=True)
class ControlConfig:
    """The local control socket."""

    group: str = ""
    """System group whose members may use the command line against the running daemon. Empty: only the
    daemon's own user and root."""


@dataclass(frozen=True)
class DueConfig:
    """Days until what the table `ssvc-deployer` decided is due, counted from the day it was first seen here. The table itself
    has no days: these are your own rule, and are shown as that."""

    immediate: int = 3
    """Days for "immediate". 0: no due date."""

    out_of_cycle: int = 14
    """Days for "out-of-cycle". 0: no due date."""

    scheduled: int = 90
    """Days for "scheduled". 0: no due date."""

    defer: int = 0
    """Days for "defer". 0: no due date."""


@dataclass(frozen=True)
class RiskConfig:
    """`p2pshare risk`: what partners' words mean for your own assets. Only its commands and its worker read this."""

    kev_absence_means: str = "unknown"
    """What it means that a vulnerability is not in the KEV file that was read: "unknown", or "not-active" (then none or a
    public proof of concept is assumed, and shown as assumed). "not-active" trusts that CISA hears of everything."""

    partners_mean_active: int = 0
    """How many organisations must have seen a vulnerability within 30 days for it to count as actively exploited. 0: never,
    it only moves what it is among its equals. 1 lets any single partner make work for you."""

    due: DueConfig = field(default_factory=DueConfig)


@dataclass(frozen=True)
class IncidentsConfig:
    """`p2pshare incident`: what happens after the close."""

    watch_days: int = 180
    """For how many days after its close an incident's values are watched: whoever sees one again tells its members."""


@dataclass(frozen=True)
class LabConfig:
    """`p2pshare lab`: rules that organisations write together."""

    siem_status_min: str = "stable"
    """What a rule of a lab must be at least for the SIEM view `v1_rules` to show it: "experimental", "test" or "stable".
    Lower hands rules to your SIEM that nobody else has tried."""

    cage: str = "required"
    """"required": rules are run only in a child process whose walls (seccomp, resource limits) all stand, else not at all.
    There is no other value: rules come from others."""

    autorun: bool = False
    """Run rules that members write on the samples that are here as they come, and tell the lab what came of it. Off, a person asks
    for each run (`lab test`)."""


@dataclass(frozen=True)
class LogConfig:
    """What the daemon logs. Values, titles and keys are in no line, at any level."""

    level: str = "info"
    """"error", "warning", "info" or "debug". Lower tells what needs a person; "debug" also has each request to a partner.
    `run --log-level` goes before it."""

    rooms: tuple[str, ...] = ()
    """Levels of single rooms of the program: "peering=debug", "sharing=warning"."""


@dataclass(frozen=True)
class Config:
    """The whole configuration. Built by `load_config`; the defaults are what `init` writes."""

    name: str
    """Your organisation's name as partners see it on the card: 1 to 64 printable characters."""

    url: str
    """Where partners reach this node: https://HOST:PORT. It stands on the card. Empty: nobody can dial this
    node, it dials its partners and asks them for news."""

    listen: str = ""
    """HOST:PORT to listen on. Empty: the host and port of `url`; all addresses where its host is a name that leads to
    loopback on this machine. 0.0.0.0 is every IPv4 address, [::] every address of both families, [::1] or [2001:db8::7] one
    of IPv6; [fe80::1%eth0] names the interface of a link-local one."""

    ttl: str = "90d"
    """How long a publication is carried by partners: 1d, 7d, 30d, 90d, 1y or 2y. Too short: a partner who
    is down for longer misses it. Too long: stores keep what nobody needs. Claims have their own validity."""

    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Named lists of partners (aliases) that `publish --to` accepts."""

    gossip: GossipConfig = field(default_factory=GossipConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    lifecycle: LifecycleConfig = field(default_factory=LifecycleConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    incidents: IncidentsConfig = field(default_factory=IncidentsConfig)
    lab: LabConfig = field(default_factory=LabConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """Returns (host, port) to bind; host may be an IPv6 address without brackets. None: listen nowhere.

        Raises ConfigError for an address that was not checked.
        """
        if self.listen:
            return split_address(self.listen)
        return url_address(self.url) if self.url else None

    @property
    def circle_ids(self) -> frozenset[CircleId]:
        return frozenset(CircleId.of(name) for name in self.gossip.circles)

    @property
    def free_space_bytes_min(self) -> int:
        return self.store.free_space_mib_min * MIB


RANGES: dict[str, tuple[int, int]] = {
    "gossip.reconcile_seconds": (1, 900),
    "gossip.connect_timeout_seconds": (1, 60),
    "lifecycle.false_positive_reports": (1, 1_000),
    "store.free_space_mib_min": (1, 1_048_576),
    "store.cache_mib": (2, 16_384),
    "limits.requests_per_second": (1, 10_000),
    "limits.mib_per_second": (1, 1_024),
    "limits.envelopes_per_second": (1, 10_000),
    "limits.author_mib": (32, 1_048_576),
    "incidents.watch_days": (1, 3_650),
    "risk.partners_mean_active": (0, 1_000),
    "risk.due.immediate": (0, 3_650),
    "risk.due.out_of_cycle": (0, 3_650),
    "risk.due.scheduled": (0, 3_650),
    "risk.due.defer": (0, 3_650),
}
KEV_ABSENCES = ("unknown", "not-active")
RULE_STATUSES = ("experimental", "test", "stable")
"""What a rule of a lab can be, in ascending order (docs/labs.md)."""
CAGES = ("required",)
LOG_LEVELS = ("error", "warning", "info", "debug")
LOGGED_ROOMS = ("daemon", "http_server", "node", "operations", "peering", "sharing")
"""The rooms that log anything."""
PROXY_KINDS = ("http", "socks5")


def room_level(text: str) -> tuple[str, str]:
    """Returns (room, level) of `ROOM=LEVEL`. Raises ConfigError."""
    room, _, level = text.partition("=")
    if room not in LOGGED_ROOMS or level not in LOG_LEVELS:
        raise ConfigError(
            f"'{text}' is not ROOM=LEVEL",
            hint=f"a room is one of {', '.join(LOGGED_ROOMS)}, a level one of {', '.join(LOG_LEVELS)}",
        )
    return room, level


def split_address(text: str) -> tuple[str, int]:
    """Returns (host, port) of `HOST:PORT` or `[IPV6]:PORT`. Raises ConfigError."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ConfigError(f"'{text}' is not HOST:PORT", hint="for example 0.0.0.0:8443 or [::]:8443")
    if not _can_be_asked_for(host):
        raise ConfigError(f"'{text}' has no name of a host", hint="for example 0.0.0.0:8443 or [::]:8443")
    return host, int(port)


def _can_be_asked_for(host: str) -> bool:
    """Returns whether a resolver can be asked for a name: Python's own raises UnicodeError for an empty or overlong label, which is
    no OSError, and whoever sends a card may write one."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def proxy_address(text: str) -> tuple[str, str, int]:
    """Returns (kind, host, port) of `http://HOST:PORT` or `socks5://HOST:PORT`. Raises ConfigError, which never quotes a login."""
    if "@" in text:
        raise ConfigError(
            "a proxy's login does not stand in its address",
            hint="write NAME:PASSWORD into a file of mode 0600, and name the file in gossip.proxy_login",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if (
        parts.scheme not in PROXY_KINDS
        or not host
        or not port
        or parts.path not in ("", "/")
        or parts.query
        or not PROXY_HOST_PATTERN.fullmatch(host)
        or not _can_be_asked_for(host)
    ):
        raise ConfigError(f"'{text}' is not a proxy's address", hint="http://HOST:PORT or socks5://HOST:PORT")
    return parts.scheme, host, port


def url_address(url: str) -> tuple[str, int]:
    """Returns (host, port) of `https://HOST[:PORT]`, default port 443. Raises ConfigError for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        parts, port = urlsplit(""), 0
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or "@" in parts.netloc
        or not url.isascii()
        or not url.isprintable()
        or not _can_be_asked_for(parts.hostname)
    ):
        raise ConfigError(
            f"'{url}' is not a partner's address",
            hint="it looks like https://HOST:PORT, in ASCII (punycode), with no path",
        )
    if "%" in parts.hostname:
        raise ConfigError(
            f"'{url}' is an address of one machine's link",
            hint="what stands behind the % has another name at each partner: give a global address, or a name",
        )
    return parts.hostname, port


def load_config(path: Path) -> Config:
    """Read and check the file at `path`. Raises ConfigError with file, line and a hint to mend it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"no configuration at {path}", hint="run `p2pshare init` first, or give --home"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="check the file's owner and mode"
        ) from None
    try:
        text = raw.decode()
        tree = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", hint="mend the line, or compare with config/example.toml"
        ) from None
    return parse_config(tree, text, str(path))


def parse_config(tree: dict[str, Any], text: str, where: str) -> Config:
    """Check a parsed TOML tree; `text` and `where` are for the error's line and file. Raises ConfigError."""
    _refuse_unknown_keys(Config, tree, (), text, where)
    try:
        config = msgspec.convert(tree, Config, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        key = path.rstrip("`").lstrip(".")
        raise ConfigError(
            f"{_place(where, text, tuple(key.split('.')))}: {key or 'the file'}: {message.lower()}",
            hint="config/example.toml explains every field",
        ) from None
    _check_values(config, text, where)
    return config


def _refuse_unknown_keys(
    kind: type, tree: dict[str, Any], path: tuple[str, ...], text: str, where: str
) -> None:
    known = get_type_hints(kind)
    for key, value in tree.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(sorted(known))}"
            raise ConfigError(
                f"{_place(where, text, (*path, key))}: unknown key '{'.'.join((*path, key))}'", hint=hint
            )
        if is_dataclass(known[key]) and isinstance(value, dict):
            _refuse_unknown_keys(known[key], value, (*path, key), text, where)


def _check_values(config: Config, text: str, where: str) -> None:
    def refuse(key: str, message: str, hint: str) -> None:
        raise ConfigError(f"{_place(where, text, tuple(key.split('.')))}: {key}: {message}", hint=hint)

    if not config.name.strip() or len(config.name) > NAME_CHARACTERS_MAX or not config.name.isprintable():
        refuse("name", "not a usable name", f"printable text of 1 to {NAME_CHARACTERS_MAX} characters")
    if config.ttl not in TTL_CLASS_BY_NAME:
        refuse("ttl", f"'{config.ttl}' is no ttl class", f"one of {', '.join(TTL_CLASS_BY_NAME)}")
    try:
        url_address(config.url or "https://nowhere:1")
    except ConfigError as error:
        refuse("url", error.message, error.hint)
    try:
        split_address(config.listen or "localhost:0")
    except ConfigError as error:
        refuse("listen", error.message, error.hint)
    if config.gossip.proxy:
        try:
            proxy_address(config.gossip.proxy)
        except ConfigError as error:
            refuse("gossip.proxy", error.message, error.hint)
    elif config.gossip.proxy_login:
        refuse("gossip.proxy_login", "there is no proxy to log in at", "set gossip.proxy, too")
    for key, (low, high) in RANGES.items():
        value = operator.attrgetter(key)(config)
        if not low <= value <= high:
            refuse(key, f"{value} is out of range", f"from {low} to {high}")
    if config.log.level not in LOG_LEVELS:
        refuse("log.level", "no such level", f"one of {', '.join(LOG_LEVELS)}")
    try:
        if len(dict(map(room_level, config.log.rooms))) < len(config.log.rooms):
            refuse("log.rooms", "a room stands there twice", "one level for each room")
    except ConfigError as error:
        refuse("log.rooms", error.message, error.hint)
    if config.risk.kev_absence_means not in KEV_ABSENCES:
        refuse("risk.kev_absence_means", "no such meaning", f"one of {', '.join(KEV_ABSENCES)}")
    if config.lab.siem_status_min not in RULE_STATUSES:
        refuse("lab.siem_status_min", "no such status", f"one of {', '.join(RULE_STATUSES)}")
    if config.lab.cage not in CAGES:
        refuse("lab.cage", "rules of others are never run without a cage", f"one of {', '.join(CAGES)}")
    for key in ("internal_domains", "mail_domains"):
        for domain in getattr(config.privacy, key):
            if not SUFFIX_PATTERN.fullmatch(domain):
                hint = 'as "int.cert.example": lower case, ASCII (punycode), no leading dot'
                refuse(f"privacy.{key}", f"'{domain}' is not a domain", hint)
    for name in config.groups:
        if not ALIAS_PATTERN.fullmatch(name):
            refuse(
                f"groups.{name}", "not a usable name", "letters, digits, dot, dash and underscore, at most 64"
            )


def _place(where: str, text: str, path: tuple[str, ...]) -> str:
    """Returns `FILE:LINE` of the last key of `path` where a search of the lines finds it, else FILE alone."""
    section, inside = ".".join(path[:-1]), ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped.strip("[] ")
            if path and inside == ".".join(path):
                return f"{where}:{number}"
        elif inside == section and re.match(rf"[\"']?{re.escape(path[-1])}[\"']?\s*=", stripped):
            return f"{where}:{number}"
    return where


def render_config(name: str, url: str, listen: str, group: str = "") -> str:
    """Returns the commented file that `init` writes: every field with its default and its explanation; `group`: who may use the command line against the daemon."""
    values: dict[str, Any] = {"name": name, "url": url, "listen": listen, "control.group": group}
    lines = [
        "# p2pshare configuration. Every field is shown with its default; `p2pshare config reload` takes it anew.",
        "",
    ]
    sections: list[str] = []
    explained = field_explanations()
    for key, (default, explanation) in explained.items():
        section, _, leaf = key.rpartition(".")
        if section and section not in sections:
            sections.append(section)
            lines += [f"[{section}]"]
        if key == "groups":
            continue
        lines += [f"# {line}" for line in explanation.splitlines()]
        value = values.get(key, default)
        lines += [f"{leaf} = {_toml(value)}", ""]
    lines += [
        "[groups]",
        *(f"# {line}" for line in explained["groups"][1].splitlines()),
        '# hospitals = ["bravo", "charlie"]',
    ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's too; only DEL is plain text to the one and forbidden to the other
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def fields_changed(before: Config, after: Config) -> list[str]:
    """Returns the dotted names of the fields that differ, in the order of the file: no values."""
    return [
        key
        for key in field_explanations()
        if operator.attrgetter(key)(before) != operator.attrgetter(key)(after)
    ]


def field_explanations() -> dict[str, tuple[Any, str]]:
    """Returns dotted key -> (default, explanation), in file order; sections last, as TOML demands."""
    return _explained(Config, "")


def _explained(kind: Any, prefix: str) -> dict[str, tuple[Any, str]]:
    plain: dict[str, tuple[Any, str]] = {}
    nested: dict[str, tuple[Any, str]] = {}
    hints, texts = get_type_hints(kind), _field_texts(kind)
    for item in fields(kind):
        key = f"{prefix}{item.name}"
        if is_dataclass(hints[item.name]):
            nested |= _explained(hints[item.name], f"{key}.")
        else:
            plain[key] = (item.default, texts[item.name])
    return plain | nested


def _field_texts(kind: Any) -> dict[str, str]:
    """Returns the string literals beneath a dataclass's fields, read from the source: they are not kept at run time."""
    texts: dict[str, str] = {}
    name = ""
    for node in _classes()[kind.__name__].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            texts[name] = inspect.cleandoc(str(node.value.value))
            name = ""
    return texts


@cache
def _classes() -> dict[str, ast.ClassDef]:
    """Returns the classes of this file as they are written. Read as a whole, once: `inspect` would read it for each field."""
    body = ast.parse(inspect.getsource(sys.modules[__name__])).body
    return {node.name: node for node in body if isinstance(node, ast.ClassDef)}
