"""Words of a report that may be values, with their beginning and end in a line whose defanging marks were undone.

Text is cut into chunks at blanks, quotes and the bars of tables; a chunk into URLs, a host with a path, or
pieces at brackets, commas and slashes. Only the shape is read here: what becomes of a word is for `reports`.
Linear in the line: every pattern matches a run of characters of one class, or is tried at one place.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Literal, NamedTuple

from p2pshare.importers.top_level_domains import TOP_LEVEL_DOMAINS
from p2pshare.intel.addresses import is_ipv4
from p2pshare.intel.artefacts import HASH_TYPE_BY_LENGTH
from p2pshare.intel.defanging import Unmarked
from p2pshare.intel.display import is_safe
from p2pshare.intel.observable import FILE_EXTENSIONS

WordKind = Literal["url", "path", "host", "email", "hash", "cve"]  # path: a host with one


class Word(NamedTuple):
    """A part of a line that may be a value. `fault` is the reason why it is one only in part, empty when it is whole."""

    kind: WordKind
    text: str
    start: int
    end: int
    is_defanged: bool
    is_link: bool = False
    fault: str = ""


# Endings that are top-level domains as well; a bare name that ends so is a file, unless somebody defanged it.
FILE_LIKE_DOMAINS = frozenset({"app", "do", "md", "mov", "pl", "ps", "py", "rs", "sh", "so", "zip"})
PACKAGE_STARTS = frozenset({"com", "net", "org", "io", "android"})  # `com.example.app` is a package
IPV6_COLONS_MIN = 3  # in words that nobody defanged: `a::b` is more often a name in a program
HASH_LENGTHS_SEEN = (32, 40, 64, 128)  # of which one digit too many, too few or wrong is a mistake to show
DISTINCT_DIGITS_MIN = 6  # fewer in 32 random hexadecimal digits: once in 10**13

_CHUNK = re.compile('[^\\s"`<>|\u2013\u2014\u2018\u201a\u201c\u201d\u201e\u2026\u2022\u2192\xab\xbb\xb7]+')
# What every value has: a sign inside a word, an id's beginning, or a run as long as a hash that lost a digit. Most
# lines of most texts have none, and are done with.
_HINT = re.compile(r"[.:@]\S|cve-\d|[0-9A-Za-z]{31}", re.IGNORECASE)
_SCHEME = re.compile(
    r"(?<![A-Za-z0-9])(?:(h(?:xx|\*\*|__)ps?|fxps?)|https?|ftps?|sftp|wss?|tcp|udp|ssh|smb|ldaps?)://",
    re.IGNORECASE,
)
_URL_END = re.compile(r"[\[\]{}\\^]|'(?![A-Za-z0-9])")
_HOST_AND_PATH = re.compile(r"(?:[\w-]{1,32}:)?((?:[\w*-]+\.)+[\w-]+)(?::\d{1,5})?/")
_NETWORK = re.compile(r"[0-9A-Fa-f.:]{2,45}/\d{1,3}")
_LENGTH = re.compile(r"/\d{1,3}(?![\w.-])", re.ASCII)  # of a network
_PIECE = re.compile(r"[^,;=(){}\[\]'\\!?&#$^~/]+")
_EDGES = ".:-+*@%"
_URL_EDGES = ".,;:!?'*_~+"  # `+` breaks a line in AsciiDoc
_CVE = re.compile(r"(?<![A-Za-z0-9])CVE-\d{4}-\d{4,19}(?![A-Za-z0-9-])", re.IGNORECASE | re.ASCII)
_SSDEEP = re.compile(r"\d{1,12}:[0-9A-Za-z+/]{6,128}:[0-9A-Za-z+/]{6,128}", re.ASCII)
_TLSH = re.compile(r"T1[0-9A-F]{70}", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]*")
_HTML_TAG = re.compile(r"</|<(?:br|p|td|tr|th|li|ul|div|span|code|em|strong|a|b|i)[ />]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%[sdux](?![0-9A-Fa-f])|\*\*\*")
_LINK_BEFORE = ("](", "<", "link:", "]: ", 'href="', "href='", 'src="', "mailto:")


def words_of(line: Unmarked) -> Iterator[Word]:
    """Yields the words of a line, in order; a bare word without dot, colon or hexadecimal length is none."""
    if _HINT.search(line.text) is None:
        return
    for chunk in _CHUNK.finditer(line.text):
        if _HINT.search(chunk[0]) is None:
            continue
        unsafe = _unsafe(chunk[0])
        for word in _words_in(line, chunk.start(), chunk.end()):
            yield word._replace(fault=unsafe) if unsafe else word


def _unsafe(chunk: str) -> str:
    """Returns the reason why no part of a chunk is believed, or empty: an escape sequence may have eaten a
    part of a name."""
    if is_safe(chunk):
        return ""
    is_binary = any("\udc80" <= character <= "\udcff" for character in chunk)
    return "not-utf8" if is_binary else "unsafe-characters"


def is_marked(line: Unmarked, start: int, end: int) -> bool:
    """Returns whether a defanging mark stood between the offsets."""
    first = bisect_left(line.places, start)
    return first < len(line.places) and line.places[first] < end


def is_plausible(word: Word) -> bool:
    """Returns whether a word that nobody defanged is a value all the same, and not a file, a path or a name."""
    if word.kind == "email":
        return _is_plausible_domain(word.text.rpartition("@")[2])
    return word.kind not in ("host", "path") or _is_plausible_host(word.text)


def _is_plausible_host(text: str) -> bool:
    host = text.partition("/")[0]
    if host.count(":") >= IPV6_COLONS_MIN:
        return _is_ipv6(host)
    host = host.partition(":")[0]
    begin, _, end = host.partition("-")
    return is_ipv4(host) or (is_ipv4(begin) and is_ipv4(end)) or _is_plausible_domain(host)


def _is_plausible_domain(text: str) -> bool:
    labels = text.removeprefix("*.").split(".")
    return (
        len(labels) >= 2
        and all(labels)
        and labels[-1] in TOP_LEVEL_DOMAINS  # lower case only: `System.Net` is a name
        and labels[-1] not in FILE_LIKE_DOMAINS
        and labels[-1] not in FILE_EXTENSIONS
        and not (len(labels) >= 3 and labels[0] in PACKAGE_STARTS)
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def is_likely_hash(text: str) -> bool:
    """Returns whether hexadecimal digits are a hash: not a number, not one digit again and again."""
    return not text.isdigit() and len(set(text.lower())) >= DISTINCT_DIGITS_MIN


def _words_in(line: Unmarked, start: int, end: int) -> Iterator[Word]:
    """Yields the words of one chunk: URLs, the words before the first, and those that a bracket cut from them."""
    schemes = [
        match
        for number, match in enumerate(_SCHEME.finditer(line.text, start, end))
        if number == 0 or line.text[match.start() - 1] in ",;([{"  # else it is a part of the URL before it
    ]
    bounds = [*(match.start() for match in schemes), end]
    yield from _plain_words(line, start, bounds[0])
    for match, bound in zip(schemes, bounds[1:], strict=True):
        stop = _URL_END.search(line.text, _after_host(line.text, match.end()), bound)
        cut = bound if stop is None else stop.start()
        yield _web_word(line, "url", match.start(), cut, bool(match[1]))
        yield from _plain_words(line, cut, bound)


def _after_host(text: str, position: int) -> int:
    """Returns the position behind an IPv6 address in brackets, whose brackets are a part of the URL; else `position`."""
    if not text.startswith("[", position):
        return position
    end = text.find("]", position, position + 48)
    return position if end < 0 else end + 1


def _web_word(line: Unmarked, kind: WordKind, start: int, cut: int, is_defanged: bool) -> Word:
    """Returns a URL, or a host with a path, from `start` to `cut`, without the punctuation of the sentence around it."""
    text = line.text[start:cut]
    kept = _without_sentence(text)
    is_defanged = is_defanged or is_marked(line, start, start + len(kept))
    follows = line.text[cut : cut + 8]
    is_link = line.text[max(0, start - 6) : start].endswith(_LINK_BEFORE) or follows.startswith("[")
    return Word(kind, kept, start, start + len(kept), is_defanged, is_link, _web_fault(text, follows))


def _without_sentence(text: str) -> str:
    """Returns `text` without the signs that end a sentence, and without closing parentheses that it did not open."""
    unopened = text.count(")") - text.count("(")
    end = len(text)
    while end and (text[end - 1] in _URL_EDGES or (text[end - 1] == ")" and unopened > 0)):
        unopened -= text[end - 1] == ")"
        end -= 1
    return text[:end]


def _web_fault(text: str, follows: str) -> str:
    if text.endswith("...") or follows.startswith("\u2026"):
        return "cut-off"
    if follows.startswith(("[", "{")) or _PLACEHOLDER.search(text) is not None:
        return "placeholder"
    if follows.startswith("\\") and follows[1:2].isalnum():
        return "cut-off"
    return "placeholder" if follows.startswith("<") and _HTML_TAG.match(follows) is None else ""


def _plain_words(line: Unmarked, start: int, end: int) -> Iterator[Word]:
    """Yields the words of a chunk, or of a part of one, without a scheme."""
    text = line.text
    for match in _CVE.finditer(text, start, end):
        yield Word("cve", match[0], match.start(), match.end(), True)
    start, end = _without_emphasis(text, start, end)
    whole = text[start:end].rstrip(_URL_EDGES + ")]}")
    if _SSDEEP.fullmatch(whole) is not None:
        yield Word("hash", whole, start, start + len(whole), True)
        return
    if _NETWORK.fullmatch(whole) is not None:
        yield Word("host", whole, start, start + len(whole), is_marked(line, start, start + len(whole)))
        return
    path = _HOST_AND_PATH.match(text, start, end)
    if path is not None and (is_marked(line, *path.span(1)) or _is_plausible_host(path[1])):
        stop = _URL_END.search(text, path.end(), end)
        yield _web_word(line, "path", path.start(1), end if stop is None else stop.start(), False)
        return
    yield from _pieces(line, start, end)


def _without_emphasis(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the bounds of a word without brackets before it, and without the signs that set it in bold or italics."""
    while start < end and (
        text[start] in "([{'" or (text[start] == "*" and text[start + 1 : start + 2] != ".")
    ):
        start += 1
    bare = len(text[start:end].rstrip(_URL_EDGES + ")]}"))
    if text[start : start + 1] == "_" and text[start + bare : start + bare + 1] == "_":
        return start + 1, start + bare  # on both sides: `_dmarc.evil.example` keeps its own
    return start, end


def _pieces(line: Unmarked, start: int, end: int) -> Iterator[Word]:
    """Yields the words between brackets, commas and slashes. A hash inside a path is the name of a file there."""
    text = line.text
    parts = text[start:end].split("/")
    is_rooted = parts[0] == "" or "\\" in text[start:end]  # a path of a machine or a server
    is_path = is_rooted or (len(parts) > 1 and not all(map(_is_hexadecimal, parts)))
    for match in _PIECE.finditer(text, start, end):
        piece = match[0]
        first = match.start() + len(piece) - len(piece.lstrip(_EDGES))
        last = first + len(piece.strip(_EDGES))
        if first >= last:
            continue
        if piece[0] == "." and text[match.start() - 1] in ")]}":  # `server-{1,30}.evil.example`
            yield _host(line, match.start(), last)._replace(fault="placeholder")
            continue
        length = _LENGTH.match(text, last, end)
        if length is not None and is_ipv4(text[first:last].rpartition(":")[2]):
            last = length.end()  # `net=192.0.2.0/24`: without it, it would be an address that nobody wrote
        if text[first - 2 : first] == "*." and first - 2 >= match.start():
            first -= 2
        for word in _piece_words(line, first, last):
            if not (is_path if word.kind == "hash" else is_rooted and not word.is_defanged):
                yield word


def _piece_words(line: Unmarked, start: int, end: int) -> Iterator[Word]:
    """Yields the values in one piece, behind its label (`md5:`, `IP:`) and with its port."""
    piece = line.text[start:end]
    if "@" in piece:
        begin = start + piece.rfind(":", 0, piece.index("@")) + 1
        is_link = "mailto:" in piece
        yield Word("email", line.text[begin:end], begin, end, is_marked(line, begin, end), is_link)
        return
    if piece.count(":") > 1 and set(piece) <= set("0123456789abcdefABCDEF:."):
        yield _host(line, start, end)
        return
    while start < end:
        colon = line.text.find(":", start, end)
        stop = end if colon < 0 else colon
        port = line.text[stop + 1 : end].partition(":")[0]
        if "." in line.text[start:stop] and port.isascii() and port.isdigit():
            stop += 1 + len(port)
        if "." in line.text[start:stop]:
            yield _host(line, start, stop)
        elif looks_like_hash(line.text[start:stop]):
            yield Word("hash", line.text[start:stop], start, stop, True, fault=_cut(line.text, start, stop))
        start = stop + 1


def _host(line: Unmarked, start: int, end: int) -> Word:
    text = line.text[start:end]
    return Word("host", text, start, end, is_marked(line, start, end), fault=_cut(line.text, start, end))


def _cut(text: str, start: int, end: int) -> str:
    """Returns `cut-off` where an ellipsis touches the word, else empty."""
    is_cut = text.startswith(("\u2026", "..."), end) or text.endswith(("\u2026", "..."), 0, start)
    return "cut-off" if is_cut else ""


def _is_hexadecimal(text: str) -> bool:
    return len(text) in HASH_TYPE_BY_LENGTH and _HEXADECIMAL.fullmatch(text) is not None


def looks_like_hash(text: str) -> bool:
    """Returns whether `text` is a hash, or differs from one by a digit."""
    if _is_hexadecimal(text) or _TLSH.fullmatch(text) is not None:
        return True
    near = any(abs(len(text) - length) <= 1 for length in HASH_LENGTHS_SEEN)
    if not near or not text.isascii() or not text.isalnum():
        return False
    others = len(text) - sum(map(len, _HEXADECIMAL.findall(text)))
    return others <= 1 and any(character.isdigit() for character in text)
