"""Canonical form of domains, URLs and e-mail addresses.

Domain: UTS 46 (non-transitional) to A-labels, lower case, no trailing dot, two labels or more. Underscores are
let through (they are in real host names), single and doubled hyphens anywhere too, as browsers do.
URL: the href of the WHATWG URL standard, without an empty fragment, whose host is canonical itself.
E-mail: local part as written (RFC 5321 section 2.4: case may matter), domain as above.

Signs of the text around a name (curly quotes, dashes of word processors, arrows, footnote numbers) are part of none:
IDNA would code them into a name that nobody wrote.

Each kind has a fast path for what is canonical already; tests prove that it agrees with the slow one.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import idna
from ada_url import URL

from p2pshare.intel.addresses import canonical_address, is_ipv4
from p2pshare.intel.refusals import InvalidValue

DOMAIN_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-._"
LABEL_CHARACTERS_MAX = 63  # RFC 1035 section 2.3.4
DOMAIN_CHARACTERS_MAX = 253  # the same, without the root's dot
DOMAIN_INPUT_CHARACTERS_MAX = 1_024  # Unicode form before mapping: bounds the slow path
LOCAL_CHARACTERS_MAX = 64  # RFC 5321 section 4.5.3.1.1
LOCAL_FORBIDDEN = frozenset(' "(),:;<>@[\\]')

# Fast paths. No two parts that follow each other begin alike: linear, whatever the text.
_DOMAIN_SHAPE = re.compile(r"[a-z0-9._-]+")
# The characters that the URL parser leaves as they are in a path or query (percent signs go the slow way).
_URL_SHAPE = re.compile(
    r"https?://([a-z0-9._-]+)(/[A-Za-z0-9._~!$&()*+,;=:@/-]*)(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?-]*)?"
)

_AUTHORITY = re.compile(r"[^:/?#]*+:[/\\]*+([^/\\?#]*+)")
# Dots and hyphens that UTS 46 maps, and signs that IDNA lets stand in names (RFC 5892 appendix A).
_OF_NAMES = frozenset("\u3002\uff0e\uff61\uff0d\uff3f\u0375\u05f3\u05f4\u0f0b\u30fb")
_MIDDLE_DOT = "\u00b7"  # Catalan, between two l only (RFC 5892 appendix A.3)
# Symbols that are emoji and not arrows, boxes, bullets, ticks: those stand in names that browsers resolve.
_EMOJI = ((0x2600, 0x26FF), (0x2719, 0x2793), (0x1F000, 0x1F7FF), (0x1F900, 0x1FAFF))
_MAPPED_AWAY = ("<super>", "<sub>", "<circle>", "<square>", "<fraction>")  # footnotes and signs of one letter


def is_typographic(character: str) -> bool:
    """Returns whether a character that is not ASCII belongs to a text and to no name in it."""
    if character in _OF_NAMES:
        return False
    category = unicodedata.category(character)
    if category[0] == "S":
        code = ord(character)
        return category not in ("So", "Sk") or not any(first <= code <= last for first, last in _EMOJI)
    if category[0] in "LM" or category == "Nd":
        return unicodedata.decomposition(character).startswith(_MAPPED_AWAY)
    return True


def refuse_typography(text: str) -> None:
    """Raise InvalidValue typography where a character of `text` belongs to no name."""
    if text.isascii():
        return
    for place, character in enumerate(text):
        if character < "\x80" or not is_typographic(character):
            continue
        neighbours = text[place - 1 : place] + text[place + 1 : place + 2]
        if character != _MIDDLE_DOT or neighbours.lower() != "ll":
            raise InvalidValue("typography")


def is_plain_domain(text: str) -> bool:
    """Returns whether `text` is a canonical domain of the common kind. Fast path: False decides nothing."""
    return (
        len(text) <= LABEL_CHARACTERS_MAX  # so no label is longer, and the match is short
        and _DOMAIN_SHAPE.fullmatch(text) is not None
        and "." in text
        and text[0] != "."
        and ".." not in text
        and text[-1] >= "a"  # a letter ...
        and ".0x" not in text  # ... and not of a hexadecimal number: so the last label is not a number
        and text[-2] != "."
        and "xn--" not in text
    )


def canonical_domain(text: str) -> str:
    """Returns the canonical domain. Raises InvalidValue: bad-domain, domain-without-dot, typography."""
    return text if is_plain_domain(text) else _domain_slowly(text)


def _domain_slowly(text: str) -> str:
    if len(text) > DOMAIN_INPUT_CHARACTERS_MAX:
        raise InvalidValue("bad-domain")
    refuse_typography(text)
    try:
        # UTS 46 section 4, step 1 (map) and 2 (normalise): it maps the ideographic full stop to a dot as well.
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise InvalidValue("bad-domain") from None
    labels = mapped.removesuffix(".").split(".")
    if labels == [""]:
        raise InvalidValue("bad-domain")
    if len(labels) == 1:
        raise InvalidValue("domain-without-dot")
    domain = ".".join(_canonical_label(label) for label in labels)
    if len(domain) > DOMAIN_CHARACTERS_MAX or _is_numeric_or_short(labels[-1]):
        raise InvalidValue("bad-domain")
    return domain


def _is_numeric_or_short(label: str) -> bool:
    """Returns whether a last label is a number (it would be an address) or has one letter: no top-level domain does."""
    return (
        len(label) < 2
        or label.isdigit()
        or (label.startswith("0x") and not label[2:].strip("0123456789abcdef"))
    )


def _canonical_label(label: str) -> str:
    if label.isascii():
        if label.startswith("xn--"):
            _check_a_label(label)
        coded = label
    else:
        # UTS 46 section 4.1, criterion 6: a label must not begin with a combining mark.
        if unicodedata.category(label[0]).startswith("M"):
            raise InvalidValue("bad-domain")
        coded = "xn--" + label.encode("punycode").decode("ascii")
    if not 1 <= len(coded) <= LABEL_CHARACTERS_MAX or coded.strip(DOMAIN_CHARACTERS):
        raise InvalidValue("bad-domain")
    return coded


def _check_a_label(label: str) -> None:
    """Raise InvalidValue bad-domain unless an A-label decodes to a label that would be coded back to it (UTS
    46 section 4, step 4)."""
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        mapped = idna.uts46_remap(decoded, std3_rules=False, transitional=False)
        is_sound = decoded == mapped and not decoded.isascii() and "." not in decoded
        is_sound = is_sound and "xn--" + decoded.encode("punycode").decode("ascii") == label
    except (UnicodeError, ValueError, OverflowError):
        is_sound = False
    if not is_sound or unicodedata.category(decoded[0]).startswith("M"):
        raise InvalidValue("bad-domain")


def canonical_url(text: str) -> str:
    """Returns the canonical URL. Raises InvalidValue: bad-url, bad-host, typography."""
    return text if is_plain_url(text) else _url_slowly(text)


def is_plain_url(text: str) -> bool:
    """Returns whether `text` is a canonical http(s) URL of the common kind. Fast path: False decides nothing."""
    match = _URL_SHAPE.fullmatch(text)
    if match is None:
        return False
    host, path = match[1], match[2]
    return "/." not in path and (is_plain_domain(host) or is_ipv4(host))  # dot segments go the slow way


def _url_slowly(text: str) -> str:
    try:
        url = URL(text)
    except ValueError:
        raise InvalidValue("bad-url") from None
    host = url.hostname
    if not host:
        raise InvalidValue("bad-url")
    if not text.isascii() or "%" in text:
        written = _AUTHORITY.match(text)  # before IDNA coded it
        refuse_typography(unquote(written[1].rpartition("@")[2]) if written else text)
    url.hash = url.hash  # the standard's own way to drop an empty fragment
    canonical = _canonical_url_host(host)
    if canonical != host:  # the standard keeps a trailing dot, and the case of hosts under tcp:, ssh:, ...
        url.hostname = canonical
        if url.hostname != canonical:
            raise InvalidValue("bad-host")
    return url.href


def _canonical_url_host(host: str) -> str:
    """Returns the host: an address in brackets, an IPv4 address or a canonical domain. Raises InvalidValue bad-host."""
    try:
        if host.startswith("["):
            canonical_address(host[1:-1])
            return host
        return host if is_ipv4(host) else canonical_domain(host)
    except InvalidValue:
        raise InvalidValue("bad-host") from None


def canonical_email(text: str) -> str:
    """Returns the canonical e-mail address. Raises InvalidValue: bad-email, typography."""
    local, separator, domain = text.rpartition("@")
    if (
        not separator
        or not 1 <= len(local) <= LOCAL_CHARACTERS_MAX
        or not LOCAL_FORBIDDEN.isdisjoint(local)
        or local[0] == "."
        or local[-1] == "."
    ):
        raise InvalidValue("bad-email")
    refuse_typography(local)
    try:
        return f"{local}@{canonical_domain(domain)}"
    except InvalidValue as invalid:
        raise InvalidValue("typography" if invalid.reason == "typography" else "bad-email") from None
