"""The privacy lint: values in an object that tell of our own organisation, and so must not leave unless a
person confirms it.

Answers are values: the first `PrivacyFinding` of an object, or None. Searched for are:

=====================  ================================================================================
`private-address`      an address or network that lies in a range of no single host of the Internet (RFC 1918
                       and the other special-purpose ranges); in claims, patterns and cyber-observables
`internal-name`        a host in one of our own domains; in claims and cyber-observables, in prose too where the
                       suffix has two labels or more (`rc.local` is no host)
`internal-mail`        an e-mail address at one of our own domains or mail domains, anywhere
`user-account`         a `user-account` object
`user-name-in-path`    whose home folder a path names: `C:\\Users\\name`, `/home/name`; anywhere
=====================  ================================================================================

Identities and marking definitions name who speaks and are not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from p2pshare.intel.addresses import canonical_address
from p2pshare.intel.observable import canonical_pair
from p2pshare.intel.refusals import InvalidValue
from p2pshare.intel.spans import SPAN_TYPES, SPECIAL_PURPOSE, Span, SpanIndex, parts, span_of, with_parents

EXEMPT_TYPES = frozenset({"identity", "marking-definition"})

PRIVATE_SPANS = SpanIndex((span_of(*canonical_address(text)), n) for n, text in enumerate(SPECIAL_PURPOSE))

# Names of accounts that every machine has, and what people write where a name stood.
NOBODY = frozenset(
    [
        "admin",
        "administrator",
        "all",  # "All Users"
        "appdata",
        "default",
        "guest",
        "kali",
        "name",
        "public",
        "root",
        "shared",
        "test",
        "ubuntu",
        "user",
        "username",
        "users",
        "victim",
        "xxx",
        "xxxx",
        "xxxxx",
    ]
)

_NAME = r"""([^\\/\s"'`<>|:*?%$(){}\[\],;&.][^\\/\s"'`<>|:*?%$(){}\[\],;&]{0,63})"""
# Runs are bounded, so that no text makes the search quadratic. A folder `home` inside a URL's path is none of ours:
# nothing that belongs to a host name stands before ours.
_USER_PATH = re.compile(
    rf"(?:[a-z]:[\\/]{{1,4}}|\\{{1,4}})(?:users|documents and settings)[\\/]{{1,4}}{_NAME}"
    rf"|(?:file://|(?<![\w.:/%-]))/(?:home|users)/{_NAME}",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]{1,64}@([\w.-]{1,253})")
_QUOTED = re.compile(r"'([0-9A-Fa-f:.]{2,45}(?:/\d{1,3})?)'")
_MARKS = (b"users", b"documents and settings", b"/home/", b"@", b"\\u00")  # in lower case


@dataclass(frozen=True)
class PrivacyRules:
    """Our own domains, which stand for all below them, and our domains of e-mail addresses."""

    domains: frozenset[str] = frozenset()
    mail_domains: frozenset[str] = frozenset()

    @property
    def long_suffixes(self) -> tuple[str, ...]:
        """Returns the domains that prose can be searched for: those of two labels or more."""
        return tuple(sorted(suffix for suffix in self.domains if "." in suffix))


class PrivacyFinding(NamedTuple):
    """A reason code, and the value it is about."""

    reason: str
    example: str


def find_in_value(type_: str, value: str, rules: PrivacyRules) -> PrivacyFinding | None:
    """Returns the finding in a canonical observable, or None."""
    for part_type, part in parts(type_, value):
        if part_type in SPAN_TYPES:
            if _is_private(span_of(part_type, part)):
                return PrivacyFinding("private-address", value)
        elif part_type == "email":
            if _is_own_mail(part.rpartition("@")[2], rules):
                return PrivacyFinding("internal-mail", value)
        elif part_type == "domain" and _is_below(part, rules.domains):
            return PrivacyFinding("internal-name", value)
    return None


def has_marks(raw: bytes, rules: PrivacyRules) -> bool:
    """Returns whether the JSON of an indicator whose pattern was read needs `find_in_object`: the fast path.

    Escaped letters (`\\u0043`) could hide a mark, so a text with such escapes has one.
    """
    lowered = raw.lower()
    return any(mark in lowered for mark in _MARKS) or any(
        suffix.encode() in lowered for suffix in rules.long_suffixes
    )


def find_in_object(stix: Mapping[str, Any], rules: PrivacyRules, about: str = "") -> PrivacyFinding | None:
    """Returns the first finding in a STIX object, with all that is nested in it, or None. `about` is a value
    that a partner sent us: saying that it is wrong must be possible whatever it is."""
    if _type_of(stix) in EXEMPT_TYPES:
        return None
    nodes = (node for node in _nodes(stix) if node != about)
    return next((found for node in nodes if (found := _find_in_node(node, rules)) is not None), None)


def _type_of(node: Mapping[str, Any]) -> str:
    type_ = node.get("type")
    return type_ if isinstance(type_, str) else ""


def _nodes(value: Any) -> Iterator[Any]:
    """Yields every object and every text in it. Nesting is bounded by JSON_DEPTH_MAX, which the reader kept."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield value
        for name, inner in value.items():
            yield name
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def _find_in_node(node: Any, rules: PrivacyRules) -> PrivacyFinding | None:
    if isinstance(node, str):
        return _find_in_text(node, rules)
    type_ = _type_of(node)
    if type_ == "user-account":
        name = next((node[key] for key in ("account_login", "user_id", "display_name") if node.get(key)), "")
        return PrivacyFinding("user-account", str(name or node.get("id", "")))
    if type_ in OBSERVABLE_TYPES and isinstance(node.get("value"), str):
        return _find_as(OBSERVABLE_TYPES[type_], node["value"], rules)
    if type_ == "indicator" and isinstance(node.get("pattern"), str):
        quoted = _QUOTED.findall(node["pattern"])
        return next((found for text in quoted if (found := _find_as("ipv6", text, rules)) is not None), None)
    return None


# STIX cyber-observable object -> the type its `value` is read as ("ipv6" reads both families).
OBSERVABLE_TYPES = {
    "ipv4-addr": "ipv6",
    "ipv6-addr": "ipv6",
    "domain-name": "domain",
    "url": "url",
    "email-addr": "email",
}


def _find_as(type_: str, text: str, rules: PrivacyRules) -> PrivacyFinding | None:
    """Returns the finding in `text`, read as an observable; None for a text that is none."""
    try:
        return find_in_value(*canonical_pair(type_, text), rules)
    except InvalidValue:
        return None


def _find_in_text(text: str, rules: PrivacyRules) -> PrivacyFinding | None:
    for match in _USER_PATH.finditer(text):
        if (match[1] or match[2]).lower() not in NOBODY:
            return PrivacyFinding("user-name-in-path", match[0].strip())
    if "@" in text:
        for match in _MAIL.finditer(text):
            if _is_own_mail(match[1].rstrip("."), rules):
                return PrivacyFinding("internal-mail", match[0])
    lowered = text.lower()
    for suffix in rules.long_suffixes:
        name = _name_in(lowered, suffix)
        if name:
            return PrivacyFinding("internal-name", name)
    return None


def _name_in(lowered: str, suffix: str) -> str:
    """Returns a host at or below `suffix` in the text, or empty."""
    start = lowered.find(suffix)
    while start >= 0:
        end = start + len(suffix)
        begins = start == 0 or not (lowered[start - 1].isalnum() or lowered[start - 1] in "-_")
        rest = lowered[end : end + 2]
        ends = not rest or not (
            rest[0].isalnum() or rest[0] in "-_" or (rest[0] == "." and rest[1:].isalnum())
        )
        if begins and ends:
            while start > 0 and (lowered[start - 1].isalnum() or lowered[start - 1] in "-_."):
                start -= 1
            return lowered[start:end].lstrip(".")
        start = lowered.find(suffix, start + 1)
    return ""


def _is_private(span: Span) -> bool:
    """Returns whether the span is wholly inside one range: 0.0.0.0/0 tells nothing of us."""
    ranges = PRIVATE_SPANS.overlapping(span).values()
    return any(other.first <= span.first and span.last <= other.last for other in ranges)


def _is_own_mail(domain: str, rules: PrivacyRules) -> bool:
    return _is_below(domain.lower(), rules.domains) or _is_below(domain.lower(), rules.mail_domains)


def _is_below(domain: str, suffixes: frozenset[str]) -> bool:
    """Returns whether the domain is one of `suffixes` or below one, which may have a single label."""
    if not suffixes:
        return False
    return domain.rpartition(".")[2] in suffixes or not suffixes.isdisjoint(with_parents(domain))
