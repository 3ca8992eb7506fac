"""Warning lists: values that are no indicators, and lists of them in MISP's format (`list.json`).

A list names values, hosts, networks or patterns that show up in reports by mistake: public resolvers, popular
sites, hashes of empty files. Rules of this file:

1. Entries are canonicalised with the code that canonicalises what they are compared with, and compared
   without case. So neither upper case, nor `host:port`, nor an IDN's two spellings slips through.
2. An observable is compared part by part (`parts`): a URL also as its host, an e-mail address also as its domain.
3. A list applies to the types its `matching_attributes` name; a part is compared as what it is, so a list of
   hosts applies to a URL's host. A list that names none applies to all.
4. Networks overlap both ways (`spans`): 0.0.0.0/1 is as wrong as the listed address in it.
5. Patterns are RE2's (`warning_patterns`); what RE2 does not read is refused.
6. What was read = kept + merged + refused by reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.display import is_safe
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.observable import TYPES, Observable, canonical_pair, clean, recognise
from p2pshare.intel.refusals import InvalidValue, Refusals
from p2pshare.intel.spans import SPAN_TYPES, Span, span_of
from p2pshare.limits import (
    WARNING_LIST_BYTES_MAX,
    WARNING_LIST_ENTRIES_MAX,
    WARNING_LIST_NAME_CHARACTERS_MAX,
    WARNING_PATTERNS_PER_LIST_MAX,
)
from p2pshare.warninglists.warning_patterns import regex_pattern, substring_pattern

ALLOW_LIST_NAME = "own allow list"


class ListAction(Enum):
    """Effect of a hit. BLOCK: refused at publishing and quarantined here; INFORM: only shown."""

    BLOCK = "block"
    INFORM = "inform"


class MatchKind(Enum):
    """Way in which a list's entries match, in MISP's words."""

    STRING = "string"
    SUBSTRING = "substring"
    HOSTNAME = "hostname"
    CIDR = "cidr"
    REGEX = "regex"


# MISP attribute type -> the types of observables it is about.
_ADDRESS = tuple(sorted(SPAN_TYPES))
_WEB = ("url", "domain")
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "ip-src": _ADDRESS,
    "ip-dst": _ADDRESS,
    "ip-src|port": _ADDRESS,
    "ip-dst|port": _ADDRESS,
    "domain": ("domain",),
    "domain|ip": ("domain", *_ADDRESS),
    "hostname": ("domain",),
    "hostname|port": ("domain",),
    "url": _WEB,
    "uri": _WEB,
    "link": _WEB,
    "email": ("email",),
    "email-src": ("email",),
    "email-dst": ("email",),
    "email-reply-to": ("email",),
    "whois-registrant-email": ("email",),
    "md5": ("md5",),
    "sha1": ("sha1",),
    "sha224": ("sha224",),
    "sha256": ("sha256",),
    "sha384": ("sha384",),
    "sha512": ("sha512",),
    "sha3-256": ("sha3-256",),
    "sha3-512": ("sha3-512",),
    "imphash": ("imphash",),
    "ssdeep": ("ssdeep",),
    "tlsh": ("tlsh",),
    "filename": ("file-name",),
    "filename|md5": ("md5", "file-name"),
    "filename|sha1": ("sha1", "file-name"),
    "filename|sha224": ("sha224", "file-name"),
    "filename|sha256": ("sha256", "file-name"),
    "filename|sha384": ("sha384", "file-name"),
    "filename|sha512": ("sha512", "file-name"),
    "filename|imphash": ("imphash", "file-name"),
    "filename|ssdeep": ("ssdeep", "file-name"),
    "filename|tlsh": ("tlsh", "file-name"),
    "ja3-fingerprint-md5": ("ja3",),
    "ja4-fingerprint": ("ja4",),
    "hassh-md5": ("hassh",),
    "hasshserver-md5": ("hassh",),
    "regkey": ("registry-key",),
    "mutex": ("mutex",),
    "user-agent": ("user-agent",),
    "AS": ("asn",),
    "mac-address": ("mac",),
    "vulnerability": ("cve",),
}


@dataclass
class WarningList:
    """A list, ready to be indexed. `read` = `kept` + `merged` + refusals.total; an entry may mean several things."""

    name: str
    version: int
    description: str
    kind: MatchKind
    types: frozenset[str]
    """Types of observables it applies to."""
    names: set[str] = field(default_factory=set)
    """Values that match whole, as `key_of` makes them."""
    hosts: set[str] = field(default_factory=set)
    """Domains that match with everything below them."""
    spans: set[Span] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    """RE2 patterns, matched anywhere in a value."""
    read: int = 0
    kept: int = 0
    merged: int = 0
    refusals: Refusals = field(default_factory=Refusals)
    notes: Refusals = field(default_factory=Refusals)
    """Attributes of the list that are no type here."""

    @property
    def meanings(self) -> int:
        """Returns the number of values, hosts, networks and patterns that are compared."""
        return len(self.names) + len(self.hosts) + len(self.spans) + len(self.patterns)


class _Document(msgspec.Struct):
    """MISP's list.json. The entries stay untyped, so that a wrong one costs itself only."""

    name: str
    type: str
    entries: list[Any] = msgspec.field(name="list")
    version: int = 0
    description: str = ""
    matching_attributes: tuple[str, ...] = ()


def parse_warning_list(raw: bytes) -> WarningList:
    """Returns a MISP warning list. Raises AuthorError when there is none in `raw`: input-too-large, not-json,
    too-deep, not-a-warning-list, too-many-entries, no-known-attribute."""
    if len(raw) > WARNING_LIST_BYTES_MAX:
        raise AuthorError(
            f"the list has more than {WARNING_LIST_BYTES_MAX} bytes",
            hint="split it",
            reason="input-too-large",
        )
    try:
        if not is_shallow(raw):
            raise AuthorError("the list is nested too deeply", reason="too-deep")
        document = msgspec.json.decode(raw, type=_Document)
        kind = MatchKind(document.type)
    except msgspec.ValidationError as error:
        raise _no_list(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AuthorError(f"not JSON: {error}", hint="give a MISP list.json", reason="not-json") from None
    except ValueError:
        raise _no_list(f"its type is none of {', '.join(kind.value for kind in MatchKind)}") from None
    if (
        not document.name
        or len(document.name) > WARNING_LIST_NAME_CHARACTERS_MAX
        or not is_safe(document.name)
    ):
        raise _no_list(
            f"its name is not printable text of 1 to {WARNING_LIST_NAME_CHARACTERS_MAX} characters"
        )
    return compile_list(
        name=document.name,
        version=document.version,
        description=document.description,
        kind=kind,
        attributes=document.matching_attributes,
        entries=document.entries,
    )


def _no_list(why: str) -> AuthorError:
    return AuthorError(
        f"not a MISP warning list: {why}",
        hint="it has name, type, list and matching_attributes",
        reason="not-a-warning-list",
    )


def compile_list(
    *,
    name: str,
    version: int,
    description: str,
    kind: MatchKind,
    attributes: Sequence[str],
    entries: Sequence[Any],
) -> WarningList:
    """Returns a list from its entries. Raises AuthorError too-many-entries, no-known-attribute."""
    if len(entries) > WARNING_LIST_ENTRIES_MAX:
        raise AuthorError(
            f"the list has more than {WARNING_LIST_ENTRIES_MAX} entries", reason="too-many-entries"
        )
    compiled = WarningList(name, version, description, kind, _types_of(attributes))
    for attribute in attributes:
        if attribute not in ATTRIBUTES:
            compiled.notes.add("unknown-attribute", attribute)
    for entry in entries:
        compiled.read += 1
        before = compiled.meanings
        if not isinstance(entry, str):
            compiled.refusals.add("wrong-type", str(entry))
            continue
        try:
            _add_entry(compiled, entry)
        except InvalidValue as invalid:
            compiled.refusals.add(invalid.reason, f"{entry} ({invalid.hint})" if invalid.hint else entry)
            continue
        if compiled.meanings > before:
            compiled.kept += 1
        else:
            compiled.merged += 1
    return compiled


def _types_of(attributes: Sequence[str]) -> frozenset[str]:
    """Returns the types that the attributes name. Raises AuthorError no-known-attribute when there is none
    for any: such a list could match nothing."""
    if not attributes:
        return TYPES
    types = frozenset(type_ for attribute in attributes for type_ in ATTRIBUTES.get(attribute, ()))
    if not types:
        raise AuthorError(
            "the list is about attributes that are no observables here", reason="no-known-attribute"
        )
    return types


def _add_entry(compiled: WarningList, entry: str) -> None:
    """Add what an entry matches. Raises InvalidValue: bad-regex, too-many-patterns, and those of canonical values."""
    if compiled.kind in (MatchKind.REGEX, MatchKind.SUBSTRING):
        pattern = regex_pattern(entry) if compiled.kind is MatchKind.REGEX else substring_pattern(entry)
        if len(compiled.patterns) >= WARNING_PATTERNS_PER_LIST_MAX:
            raise InvalidValue("too-many-patterns")
        compiled.patterns.add(pattern)
        return
    text = clean(entry)
    bare = text.removeprefix("*").removeprefix(".")  # `.google.ad`, `*.google.ad`: the host and all below it
    is_below = compiled.kind is MatchKind.HOSTNAME or bare != text
    for type_, value in _meanings(bare, compiled):
        if type_ in SPAN_TYPES:
            compiled.spans.add(span_of(type_, value))
        elif type_ == "domain" and is_below:
            compiled.hosts.add(value)
        else:
            compiled.names.add(key_of(value))


def _meanings(text: str, compiled: WarningList) -> list[tuple[str, str]]:
    """Returns the entry under each of the list's types, and the value that a person meant by it (`host:port`,
    `hxxp://`), if that is of the list's types; each once. Raises InvalidValue when there is none."""
    types = compiled.types & SPAN_TYPES if compiled.kind is MatchKind.CIDR else compiled.types
    reads_addresses = ["ipv6"] if types & SPAN_TYPES else []  # ipv6 reads both families
    meanings: list[tuple[str, str]] = []
    reason = "unknown-type"
    for type_ in (*reads_addresses, *sorted(types - SPAN_TYPES, reverse=True)):
        try:
            meanings.append(canonical_pair(type_, text))
        except InvalidValue as invalid:
            reason = invalid.reason
    with suppress(InvalidValue):
        meant = _pair(recognise(text).observable)
        meanings += [meant] if meant[0] in types else []
    if not meanings:
        raise InvalidValue(reason)
    return list(dict.fromkeys(meanings))


def _pair(observable: Observable) -> tuple[str, str]:
    return observable.type, observable.value


# --- the own allow list ---


class Allowed(NamedTuple):
    """A value that a person called harmless: a canonical observable, or with `covers_below` a domain and all below it."""

    type: str
    value: str
    covers_below: bool = False

    @property
    def text(self) -> str:
        return f"*.{self.value}" if self.covers_below else self.value


def allowed_of(text: str) -> Allowed:
    """Returns the value that `text` allows; `*.example.com` the domain and all below it. Raises InvalidValue."""
    meant = recognise(text)
    covers_below = meant.note == "wildcard-dropped" or text.strip().startswith(".")
    return Allowed(*_pair(meant.observable), covers_below)


def compile_allowed(entries: Iterable[Allowed]) -> WarningList:
    """Returns the own allow list as a warning list for all types."""
    compiled = WarningList(
        ALLOW_LIST_NAME, 0, "what this node's operator called harmless", MatchKind.STRING, TYPES
    )
    for type_, value, covers_below in entries:
        if type_ in SPAN_TYPES:
            compiled.spans.add(span_of(type_, value))
        elif covers_below:
            compiled.hosts.add(value)
        else:
            compiled.names.add(key_of(value))
        compiled.read = compiled.kept = compiled.read + 1
    return compiled


# --- how names are compared ---


def key_of(value: str) -> str:
    """Returns a canonical value as names are compared: without case."""
    return value.lower()
