"""The part of the STIX pattern language that is read: the values that a pattern compares for equality.

    pattern      = observation { "OR" observation }
    observation  = "[" comparison { "OR" comparison } "]"
    comparison   = path ( "=" | "==" ) literal | path "IN" "(" literal { "," literal } ")" | path "ISSUBSET" string

Each alternative alone makes such a pattern match, so each is an observable of its own. Alternatives over
properties that are no observables (`file:size`) are passed over. Everything else (AND, FOLLOWEDBY, NOT, qualifiers,
LIKE, MATCHES, comments, escapes that the standard does not know) makes the whole pattern opaque: it is kept and
carried, and gives nothing. Never guessed at. Linear in the length of the pattern; STIX 2.1 section 9.
"""

from __future__ import annotations

import re

from p2pshare.intel.observable import PLAIN, InvalidValue, Observable, canonical_pair
from p2pshare.intel.runs import run_end
from p2pshare.limits import PATTERN_OBSERVABLES_MAX, VALUE_BYTES_MAX

# The standard's names (STIX 2.1 section 10.7) and the spellings met in the wild.
HASH_KEYS = {
    "md5": ("MD5", "md5"),
    "sha1": ("SHA-1", "SHA1", "sha1", "sha-1"),
    "sha224": ("SHA-224", "SHA224"),
    "sha256": ("SHA-256", "SHA256", "sha256", "sha-256"),
    "sha384": ("SHA-384", "SHA384"),
    "sha512": ("SHA-512", "SHA512", "sha512", "sha-512"),
    "sha3-256": ("SHA3-256",),
    "sha3-512": ("SHA3-512",),
    "ssdeep": ("SSDEEP", "ssdeep"),
    "tlsh": ("TLSH", "tlsh"),
    "imphash": ("IMPHASH", "imphash"),
}
# Which side of a connection holds a value does not change what it is; its type is told by its shape.
ENDPOINT = "endpoint"

PATHS: dict[str, str] = {
    "ipv4-addr:value": "ipv4",
    "ipv6-addr:value": "ipv6",
    "domain-name:value": "domain",
    "url:value": "url",
    "email-addr:value": "email",
    "email-message:from_ref.value": "email",
    "email-message:sender_ref.value": "email",
    "network-traffic:src_ref.value": ENDPOINT,
    "network-traffic:dst_ref.value": ENDPOINT,
    "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'": "user-agent",
    "file:name": "file-name",
    "mutex:name": "mutex",
    "windows-registry-key:key": "registry-key",
    "autonomous-system:number": "asn",
    "mac-addr:value": "mac",
    **{
        f"{kind}:hashes.{quote}{key}{quote}": type_
        for type_, keys in HASH_KEYS.items()
        for key in keys
        for quote in ("", "'")
        for kind in ("file", "artifact")
        if quote or "-" not in key  # section 9.7: a key with a hyphen must be quoted
    },
}
NUMBERS = frozenset({"asn"})  # compared with a number, not with a string
_FAST_PATHS = {
    f"[{path}{sign}": type_ for path, type_ in PATHS.items() for sign in (" = ", "=") if type_ not in NUMBERS
}
_PLAIN_PATHS = {path: (type_, PLAIN[type_]) for path, type_ in _FAST_PATHS.items() if type_ in PLAIN}
SUBSET_TYPES = frozenset({"ipv4", "ipv6", ENDPOINT})

_TOKEN = re.compile(
    r"""[ \t\r\n\f\v]*+(?:
      (?P<path>[a-zA-Z_][\w-]*+:(?:[a-zA-Z_]\w*+|'[^'\\]*+'))
    | (?P<string>'(?:[^'\\]*+(?:\\['\\][^'\\]*+){0,100}')?)
    | (?P<number>[+-]?(?:0|[1-9]\d{0,19})(?![\w.]))
    | (?P<sign>==?|[\[\](),])
    | (?P<word>IN|OR|ISSUBSET|true|false)(?![\w:-])
    | (?P<end>\Z)
    )""",
    re.ASCII | re.VERBOSE,
)
# How a path goes on, and a string of more escapes, of which only the quote is a token.
_STEPS = re.compile(r"(?:\.(?:[a-zA-Z_]\w*+|'[^'\\]*+')|\[(?:\*|0|[1-9]\d{0,8})\]){1,1000}", re.ASCII)
_CHARACTERS = re.compile(r"(?:[^'\\]++|\\['\\]){1,1000}")


class _Opaque(Exception):
    """Raised for a pattern that is not one of those that are read."""


def observables_of(pattern: str) -> tuple[Observable, ...]:
    """Returns the observables a pattern equals, each once, in order; () when it is opaque. Values that have
    no canonical form are left out (`comparisons_of` shows them). Never raises."""
    found: dict[Observable, None] = {}
    for type_, text in comparisons_of(pattern):
        try:
            found[Observable(*canonical_comparison(type_, text))] = None
        except InvalidValue:
            continue
    return tuple(found)


def plain_pair(pattern: str) -> tuple[str, str] | None:
    """Returns (type, canonical value) of `[path = 'value']` whose value is canonical as it stands, as nearly
    every pattern is. Fast path over `comparisons_of` and `canonical_comparison`: None decides nothing."""
    # As in `comparisons_of`; no plain value holds a backslash, so there is no escape to look for.
    if pattern[-2:] != "']":
        return None
    path, _, text = pattern[:-2].rpartition("'")
    known = _PLAIN_PATHS.get(path)
    if known is None:
        return None
    type_, is_plain = known
    return (type_, text) if is_plain(text) and len(text) <= VALUE_BYTES_MAX else None


def canonical_comparison(type_: str, text: str) -> tuple[str, str]:
    """Returns (type, canonical value) of one comparison. Raises InvalidValue."""
    if type_ != ENDPOINT:
        return canonical_pair(type_, text)
    is_address = ":" in text or "/" in text or text[-1:].isdigit()
    return canonical_pair("ipv6" if is_address else "domain", text)


def comparisons_of(pattern: str) -> tuple[tuple[str, str], ...]:
    """Returns (type, text as written) of each comparison over a known property; () when the pattern is opaque."""
    # Fast path: `[path = 'text']` without escapes, as nearly every pattern is. The text behind the last quote but
    # one holds no quote, and a path that is known holds no text: so nothing else can have this shape.
    if pattern[-2:] == "']" and "\\" not in pattern:
        path, _, text = pattern[:-2].rpartition("'")
        type_ = _FAST_PATHS.get(path)
        if type_ is not None:
            return ((type_, text),)
    try:
        return tuple(_Reader(pattern).read())
    except _Opaque:
        return ()


class _Reader:
    """Reader of the grammar above, by descent without recursion: it has no nesting."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._kind = ""
        self._text = ""
        self._found: list[tuple[str, str]] = []
        self._advance()

    def read(self) -> list[tuple[str, str]]:
        self._observation()
        while self._accept("OR"):
            self._observation()
        if self._kind != "end":
            raise _Opaque
        return self._found

    def _observation(self) -> None:
        self._expect("[")
        self._comparison()
        while self._accept("OR"):
            self._comparison()
        self._expect("]")

    def _comparison(self) -> None:
        if self._kind != "path":
            raise _Opaque
        type_ = PATHS.get(self._text)
        self._advance()
        if self._accept("=") or self._accept("=="):
            self._literal(type_)
        elif self._accept("IN"):
            self._expect("(")
            self._literal(type_)
            while self._accept(","):
                self._literal(type_)
            self._expect(")")
        elif self._accept("ISSUBSET") and type_ in SUBSET_TYPES and self._kind == "string":
            self._literal(type_)
        else:
            raise _Opaque

    def _literal(self, type_: str | None) -> None:
        kind, text = self._kind, self._text
        if kind not in ("string", "number") and text not in ("true", "false"):
            raise _Opaque
        self._advance()
        if type_ is None or (kind == "number") != (type_ in NUMBERS):
            return
        if len(self._found) >= PATTERN_OBSERVABLES_MAX:
            raise _Opaque
        if kind == "string":
            text = text[1:-1].replace("\\'", "'").replace("\\\\", "\\") if "\\" in text else text[1:-1]
        self._found.append((type_, text))

    def _accept(self, token: str) -> bool:
        if self._text != token or self._kind not in ("sign", "word"):
            return False
        self._advance()
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _Opaque

    def _advance(self) -> None:
        match = _TOKEN.match(self._pattern, self._position)
        if match is None or match.lastgroup is None:
            raise _Opaque
        self._kind = match.lastgroup
        self._text = match[self._kind]
        self._position = match.end()
        if self._kind == "path" and self._pattern.startswith((".", "["), self._position):
            self._go_on(_STEPS, "")
        elif self._text == "'":
            self._go_on(_CHARACTERS, "'")

    def _go_on(self, pieces: re.Pattern[str], ending: str) -> None:
        start = self._position
        end = run_end(pieces, self._pattern, start)
        if not self._pattern.startswith(ending, end):
            raise _Opaque
        self._position = end + len(ending)
        self._text += self._pattern[start : self._position]
