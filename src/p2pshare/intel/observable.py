"""Observables: a thing (address, domain, hash ...) in its one canonical form. The dedup key is (type, value).

`canonical` is for texts whose type is known (a STIX pattern, a column); `recognise` and `detect` are for texts
as people write them: defanged, with a port, without a scheme. Rules and reasons stand in docs/intelligence.md.
A canonical value is NFC, trimmed, at most VALUE_BYTES_MAX long and holds no control or bidirectional character.
Canonicalising twice changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from p2pshare.intel import artefacts
from p2pshare.intel.addresses import (
    OCTETS,
    canonical_address,
    is_address_range,
    is_ipv4,
    is_like_mask,
    is_plain_ipv6,
    with_length,
)
from p2pshare.intel.defanging import refang as refang
from p2pshare.intel.display import is_safe
from p2pshare.intel.names import (
    canonical_domain,
    canonical_email,
    canonical_url,
    is_plain_domain,
    is_plain_url,
    is_typographic,
)
from p2pshare.intel.refusals import InvalidValue as InvalidValue
from p2pshare.limits import VALUE_BYTES_MAX


class Observable(msgspec.Struct, frozen=True, order=True, gc=False):
    """A canonical observable. Build it with `canonical` or `detect`, never from unchecked text."""

    type: str
    value: str


def _of_type(type_: str, convert: Callable[[str], str]) -> Callable[[str], tuple[str, str]]:
    return lambda text: (type_, convert(text))


def _of_hash(type_: str) -> Callable[[str], tuple[str, str]]:
    return lambda text: (type_, artefacts.canonical_hash(type_, text))


def _address_of(*allowed: str) -> Callable[[str], tuple[str, str]]:
    """Returns the conversion to the `allowed` types. Addresses and networks of one family share a slot in
    STIX; a mapped IPv6 address becomes IPv4."""

    def convert(text: str) -> tuple[str, str]:
        found = canonical_address(text)
        if found[0] not in allowed:
            raise InvalidValue("bad-address")
        return found

    return convert


_IPV4 = _address_of("ipv4", "ipv4-net")
_IPV6 = _address_of("ipv4", "ipv4-net", "ipv6", "ipv6-net")

# type -> text (trimmed, NFC, safe) to (type, canonical value)
CANONICAL: dict[str, Callable[[str], tuple[str, str]]] = {
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "ipv4-net": _IPV4,
    "ipv6-net": _IPV6,
    "domain": _of_type("domain", canonical_domain),
    "url": _of_type("url", canonical_url),
    "email": _of_type("email", canonical_email),
    **{type_: _of_hash(type_) for type_ in artefacts.HASH_LENGTHS},
    "ssdeep": _of_type("ssdeep", artefacts.canonical_ssdeep),
    "tlsh": _of_type("tlsh", artefacts.canonical_tlsh),
    "ja4": _of_type("ja4", artefacts.canonical_ja4),
    "mutex": _of_type("mutex", artefacts.canonical_name),
    "registry-key": _of_type("registry-key", artefacts.canonical_registry_key),
    "file-name": _of_type("file-name", artefacts.canonical_file_name),
    "user-agent": _of_type("user-agent", artefacts.canonical_name),
    "asn": _of_type("asn", artefacts.canonical_asn),
    "mac": _of_type("mac", artefacts.canonical_mac),
    "cve": _of_type("cve", artefacts.canonical_cve),
}
TYPES = frozenset(CANONICAL)

# Fast paths: whether a text is canonical already, so that nothing needs to be done. Tests hold them to CANONICAL.
PLAIN: dict[str, Callable[[str], bool]] = {
    "ipv4": is_ipv4,
    "ipv6": is_plain_ipv6,
    "domain": is_plain_domain,
    "url": is_plain_url,
    "md5": lambda text: artefacts.is_hash(text, 32),
    "sha1": lambda text: artefacts.is_hash(text, 40),
    "sha256": lambda text: artefacts.is_hash(text, 64),
}

_SEPARATORS = re.compile(r"[,;|\t]")
_STRAY = frozenset('"`<>')  # ASCII signs that no value begins or ends with
WRAPPINGS = {'"': '"', "'": "'", "`": "`", "<": ">", "\u201c": "\u201d"}

# Shapes that nothing else has; the first that fits decides.
SHAPES: tuple[tuple[Callable[[str], object], str], ...] = (
    (artefacts.CVE.fullmatch, "cve"),
    (re.compile(r"as\d{1,10}", re.ASCII | re.IGNORECASE).fullmatch, "asn"),
    (re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}", re.IGNORECASE).fullmatch, "mac"),
    (re.compile(r"t1[0-9a-f]{70}", re.IGNORECASE).fullmatch, "tlsh"),
    (re.compile(r"[tqd]\w{9}_[0-9a-f]{12}_[0-9a-f]{12}", re.ASCII).fullmatch, "ja4"),
    (re.compile(r"\d{1,12}:[0-9A-Za-z+/]{3,128}:[0-9A-Za-z+/]{3,128}", re.ASCII).fullmatch, "ssdeep"),
)

# Endings of file names that are no top-level domains: `invoice.exe` is a file, `evil.zip` and `evil.sh` are hosts.
FILE_EXTENSIONS = frozenset(
    [
        "7z",
        "ace",
        "apk",
        "asp",
        "aspx",
        "avi",
        "bat",
        "bin",
        "bmp",
        "cab",
        "chm",
        "class",
        "cmd",
        "conf",
        "cpl",
        "csv",
        "dat",
        "db",
        "dll",
        "dmg",
        "doc",
        "docm",
        "docx",
        "dot",
        "drv",
        "elf",
        "eml",
        "exe",
        "gif",
        "gz",
        "hlp",
        "hta",
        "htm",
        "html",
        "ico",
        "img",
        "inf",
        "ini",
        "iso",
        "jar",
        "jpeg",
        "jpg",
        "js",
        "jse",
        "json",
        "jsp",
        "lnk",
        "log",
        "mp3",
        "mp4",
        "msg",
        "msi",
        "ocx",
        "ods",
        "odt",
        "pdf",
        "php",
        "png",
        "ppt",
        "pptm",
        "pptx",
        "ps1",
        "psm1",
        "rar",
        "rtf",
        "scr",
        "sct",
        "svg",
        "swf",
        "sys",
        "tar",
        "tmp",
        "ttf",
        "txt",
        "vbe",
        "vbs",
        "vhd",
        "war",
        "wsf",
        "xll",
        "xls",
        "xlsb",
        "xlsm",
        "xlsx",
        "xml",
        "xsl",
        "yaml",
        "yml",
    ]
)


def clean(text: str) -> str:
    """Returns the text trimmed and in NFC. Raises InvalidValue: empty, too-long, unsafe-characters."""
    text = text.strip()
    if not text:
        raise InvalidValue("empty")
    if text.isascii():
        if len(text) > VALUE_BYTES_MAX:
            raise InvalidValue("too-long")
        if not text.isprintable():
            raise InvalidValue("unsafe-characters")
        return text
    if len(text) > VALUE_BYTES_MAX:  # before the costly steps
        raise InvalidValue("too-long")
    if not is_safe(text):
        raise InvalidValue("unsafe-characters")
    text = unicodedata.normalize("NFC", text)
    if len(text.encode()) > VALUE_BYTES_MAX:
        raise InvalidValue("too-long")
    return text


def canonical_pair(type_: str, text: str) -> tuple[str, str]:
    """Returns (type, canonical value); the type may change (a mapped IPv6 address is IPv4). Raises InvalidValue."""
    is_plain = PLAIN.get(type_)
    if is_plain is not None and is_plain(text) and len(text) <= VALUE_BYTES_MAX:
        return type_, text
    convert = CANONICAL.get(type_)
    if convert is None:
        raise InvalidValue("unknown-type")
    found = convert(clean(text))
    if len(found[1]) > VALUE_BYTES_MAX:  # percent-encoding may have lengthened it
        raise InvalidValue("too-long")
    return found


def canonical(type_: str, text: str) -> Observable:
    """Returns the observable that `text` is under its type. Raises InvalidValue."""
    return Observable(*canonical_pair(type_, text))


class Recognised(NamedTuple):
    """An observable recognised in a text. `note` is a word for what was dropped or assumed, empty when nothing was."""

    observable: Observable
    note: str = ""


def detect(text: str) -> Observable:
    """Returns the observable that a person meant by `text`. Raises InvalidValue."""
    return recognise(text).observable


def recognise(text: str) -> Recognised:
    """Returns the observable in `text`: refanged, its type recognised by its shape, in the order of docs/intelligence.md.

    Notes: port-dropped, scheme-assumed, wildcard-dropped, netmask. Raises InvalidValue; `not-one-value` for a
    sentence, `cut-off` for what somebody shortened with an ellipsis: the rest of it is a guess; `address-range`;
    `typography` for what a sign of the text around it touches.
    """
    text = _unwrap(clean(text))
    if text[:2].lower() == "hk" and "\\" in text:
        return Recognised(canonical("registry-key", text))
    text = refang(text).strip()
    if not text:
        raise InvalidValue("empty")
    if "\u2026" in text or (text.rstrip("])").endswith("...") and text.strip(".[]()")):
        raise InvalidValue("cut-off")
    if text[0] in _STRAY or text[-1] in _STRAY or (not text.isascii() and _is_beside_text(text)):
        raise InvalidValue("typography")
    if len(text.split(None, 1)) > 1:
        raise InvalidValue("address-range" if is_address_range(text) else "not-one-value")
    scheme, separator, _ = text.partition("://")
    if _SEPARATORS.search(scheme) is not None:  # a row of a table, or several values
        raise InvalidValue("not-one-value")
    if separator:
        refuse_range(text[len(scheme) + 3 :])
        return Recognised(canonical("url", text))
    return _recognise_word(text)


def _is_beside_text(text: str) -> bool:
    return any(character >= "\x80" and is_typographic(character) for character in (text[0], text[-1]))


def refuse_range(text: str) -> None:
    """Raise InvalidValue for a host, with a path or without, that is more than one address, or a network with a spoilt mask:
    as a name, or as a URL, it would be one that nobody wrote."""
    if not text[:1].isdigit():
        return
    host, slash, rest = text.partition("/")
    if is_address_range(text) or is_address_range(host.partition(":")[0]):
        raise InvalidValue("address-range")
    if slash and is_ipv4(host) and is_like_mask(rest):
        raise InvalidValue("bad-network")


def _unwrap(text: str) -> str:
    """Returns the text without the quotes, brackets and list commas around it."""
    if "://" not in text:
        text = text.rstrip(",;")
    while len(text) >= 2 and WRAPPINGS.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text


def _recognise_word(text: str) -> Recognised:
    type_ = artefacts.HASH_TYPE_BY_LENGTH.get(len(text))
    if type_ is not None and artefacts.is_hash(text.lower(), len(text)):
        return Recognised(Observable(type_, text.lower()))
    if is_ipv4(text):
        return Recognised(Observable("ipv4", text))
    for fits, shaped in SHAPES:
        if fits(text) is not None:
            return Recognised(canonical(shaped, text))
    if "/" in text:
        return _recognise_slashed(text)
    if "@" in text:
        return Recognised(canonical("email", text))
    if ":" in text:
        return _recognise_coloned(text)
    return _recognise_dotted(text)


def _recognise_slashed(text: str) -> Recognised:
    """Returns a network, also one whose length is said as a mask, or a URL without its scheme: http is assumed. Both are
    noted."""
    host, _, rest = text.partition("/")
    if not host:
        raise InvalidValue("path-only")
    if rest.isascii() and rest.isdigit() and len(rest) <= 3 and _is_address(host):
        return Recognised(Observable(*canonical_address(text)))
    network = with_length(host, rest)
    if network is not None:
        return Recognised(Observable(*canonical_address(network)), "netmask")
    if is_address_range(text):
        raise InvalidValue("address-range")
    if "." not in host:
        raise InvalidValue("unknown-type")
    refuse_range(text)
    return Recognised(canonical("url", f"http://{text}"), "scheme-assumed")


def _is_address(text: str) -> bool:
    try:
        canonical_address(text)
    except InvalidValue:
        return False
    return True


def _recognise_coloned(text: str) -> Recognised:
    """Returns an IPv6 address, or a host and a port: the port is dropped, and noted."""
    if is_address_range(text):
        raise InvalidValue("address-range")
    if text.count(":") > 1 and not text.startswith("["):
        return Recognised(Observable(*canonical_address(text)))
    host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    bare = host.removeprefix("[").removesuffix("]")
    if port and not (port.isascii() and port.isdigit() and int(port[:6]) <= 65535):
        raise InvalidValue("bad-port")
    note = "port-dropped" if port else ""
    if ":" in bare or is_ipv4(bare):
        return Recognised(Observable(*canonical_address(bare)), note)
    refuse_range(bare)
    return Recognised(canonical("domain", bare), note)


def _recognise_dotted(text: str) -> Recognised:
    head, _, last = text.rpartition(".")
    if not head.strip("*."):
        raise InvalidValue("unknown-type")
    if text[0] in "0123456789*xX[":
        _refuse_like_address(text, head, last)
    if last.isdigit():
        return Recognised(Observable(*canonical_address(text)))
    if last.lower() in FILE_EXTENSIONS:
        return Recognised(canonical("file-name", text))
    bare = text.removeprefix("*").removeprefix(".")
    return Recognised(canonical("domain", bare), "" if bare == text else "wildcard-dropped")


def _refuse_like_address(text: str, head: str, last: str) -> None:
    """Raise InvalidValue for a range, and for three octets behind which something begins like a fourth."""
    if is_address_range(text):
        raise InvalidValue("address-range")
    octets = head.split(".", 3)
    if len(octets) == 3 and OCTETS.issuperset(octets) and last[:1].isdigit() and not last.isdigit():
        raise InvalidValue("bad-address")
