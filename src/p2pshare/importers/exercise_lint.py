"""The lint of what a pack's texts and payloads say: no observable that could be somebody's, nothing that a reader would run (docs/exercise-packs.md,
"Lint").

An exercise's values must be harmless wherever they end up: addresses of RFC 5737, 3849 and 9637, names of RFC 2606, AS numbers of RFC 5398, MAC
addresses of RFC 9542, hashes of EICAR's test file. Running text is read for more than an import would take: also what nobody defanged, in any case,
behind entities, percent signs, wide letters and invisible ones. Names inside a machine (file names, mutexes, registry keys) and CVE ids have no
reserved range and are nobody's; they may stand. Linear in the bytes, which the caller bounds.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from p2pshare.errors import AuthorError
from p2pshare.importers.report_words import FILE_LIKE_DOMAINS, Word, is_likely_hash, words_of
from p2pshare.importers.top_level_domains import TOP_LEVEL_DOMAINS
from p2pshare.intel.artefacts import HASH_TYPE_BY_LENGTH
from p2pshare.intel.checks import find_wrong
from p2pshare.intel.defanging import undo_marks
from p2pshare.intel.display import clip, is_safe
from p2pshare.intel.exercise_manifest import Problems
from p2pshare.intel.exercise_pack import (
    PACK_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    ExercisePack,
    PackProblem,
)
from p2pshare.intel.json_text import find_half_surrogate, is_shallow, parse_object, without_bom
from p2pshare.intel.observable import FILE_EXTENSIONS, InvalidValue, canonical, recognise, refang
from p2pshare.intel.pattern import canonical_comparison, comparisons_of

WORDS_MAX = 300_000  # like values, in one pack: some three seconds; ours have two hundred
DISTINCT_WORDS_MAX = (
    20_000  # of them: each is canonicalised, a URL in 0.3 ms. A feed of five thousand indicators has as many
)
TOLD_PER_PLACE_MAX = 8  # values of one text or payload that are told: who has mended them lints again
RESERVED_NETWORKS = tuple(
    map(
        ip_network,
        ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    )
)
RESERVED_NAMES = ("example.com", "example.net", "example.org", "example", "test", "invalid")
RESERVED_AS = ((64_496, 64_511), (65_536, 65_551))
RESERVED_MACS = "00:00:5e:00:53:"
EICAR_HASHES = frozenset(
    {
        "44d88612fea8a8f36de82e1278abb02f",
        "3395856ce81f2b7382dee72602f798b642f14140",
        "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
        "cc805d5fab1fd71a4ab352a9c533e65fb2d5b885518f4e565e68847223b8e6b85cb48f3afad842726d99239c9e36505c64b0dc9a061d9e507d833277ada336ab",
    }
)
"""MD5, SHA-1, SHA-256 and SHA-512 of the test file of 68 bytes."""
MEND = "write addresses of 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 or 2001:db8::/32, names below .example or .test, EICAR's hashes"

_NAMED_IN_A_MACHINE = frozenset({"file-name", "mutex", "registry-key", "user-agent", "cve"})
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61\u2024\ufe52", ".") | {"\u2010": "-", "\u2011": "-"})
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])", re.ASCII)
_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
# Blanks are counted, so that a `<` before a million of them costs nothing.
_ACTIVE = re.compile(
    r"<\s{0,8}/?\s{0,8}(?:script|svg|iframe|frame|object|embed|applet|html|head|body|img|link|meta|style|base|form|input|button|math|video|audio|a)"
    r"(?=[\s/>])|<!doctype|<\?xml|(?:java|vb)script\s{0,8}:|data:\s{0,8}text/html|(?<![a-z])on(?:error|load|click|focus|mouse\w{2,8}|key\w{2,8})\s{0,8}=",
    re.IGNORECASE,
)
_ACTIVE_ENDINGS = (".html", ".htm", ".xhtml", ".svg", ".js", ".mjs", ".hta", ".vbs", ".swf", ".xml")


class _TooManyWords(Exception):
    """A pack has more words that are like values than are looked at."""


class _Looker:
    """Looks at words, each once, and at no more of them than a pack may have."""

    def __init__(self) -> None:
        self._left = WORDS_MAX
        self._real: dict[tuple[str, str, bool], bool] = {}
        self._values_left = DISTINCT_WORDS_MAX

    def spend_value(self) -> None:
        """Count a value that stands where a value must. Raises _TooManyWords."""
        self._values_left -= 1
        if self._values_left < 0:
            raise _TooManyWords

    def is_real(self, word: Word) -> bool:
        """Returns whether a word is or holds an observable that is not reserved. Raises _TooManyWords."""
        self._left -= 1
        key = (word.kind, word.text, word.is_defanged)
        found = self._real.get(key)
        if found is None:
            if len(self._real) >= DISTINCT_WORDS_MAX:
                raise _TooManyWords
            found = self._real[key] = _is_real(word)
        if self._left < 0:
            raise _TooManyWords
        return found


def lint_pack(pack: ExercisePack, payloads: Mapping[str, bytes | None]) -> list[PackProblem]:
    """Returns what is wrong with the texts and payloads of a pack. A payload that is None is not there; of one that is not in `payloads`
    somebody else has told what is wrong."""
    problems = Problems()
    looker = _Looker()
    try:
        _lint_texts(pack, problems, looker)
        _lint_payloads(pack, payloads, problems, looker)
    except _TooManyWords:
        problems.add(
            "too-many",
            "pack",
            f"more than {WORDS_MAX} words in it, or {DISTINCT_WORDS_MAX} different ones, are like addresses, names and hashes",
            "shorten its feeds: nobody looks for so many by hand",
        )
    return problems.told()


def _lint_payloads(
    pack: ExercisePack, payloads: Mapping[str, bytes | None], problems: Problems, looker: _Looker
) -> None:
    whole = 0
    looked_at: set[str] = set()
    for inject in pack.injects:
        path = inject.payload
        if not path or path not in payloads or path in looked_at:
            continue
        looked_at.add(path)
        where = f"inject {inject.number}: {path}"
        raw = payloads[path]
        if raw is None:
            problems.add("payload-missing", where, "no file is there", "write it, or name another")
            continue
        whole += len(raw)
        if len(raw) > PAYLOAD_BYTES_MAX:
            problems.add(
                "too-many", where, f"it is larger than {PAYLOAD_BYTES_MAX} bytes", "shorten it, or split it"
            )
        elif whole <= PACK_BYTES_MAX:
            _lint_payload(raw, path, where, problems, looker)
    if whole > PACK_BYTES_MAX:
        problems.add(
            "too-many", "pack", f"its payloads have more than {PACK_BYTES_MAX} bytes", "make two packs of it"
        )


def _lint_texts(pack: ExercisePack, problems: Problems, looker: _Looker) -> None:
    texts: list[tuple[str, str]] = [("name", pack.name), ("summary", pack.summary)]
    texts += [(f"objective {one.id}", one.text) for one in pack.objectives]
    texts += [(f"player {one.id}: title", one.title) for one in pack.places]
    for inject in pack.injects:
        where = f"inject {inject.number}"
        texts += [
            (f"{where}: from", inject.sender),
            (f"{where}: text", inject.text),
            (f"{where}: expected", inject.expected),
        ]
        for number, one in enumerate(inject.expect, 1):
            place = f"{where}, expect {number}" + (f" ({one.id})" if one.id else "") + ": match"
            for field, value in one.match.items():
                if field == "values" and isinstance(value, tuple):
                    _tell(_real_among(value, looker), place, problems)
                for text in value if isinstance(value, tuple) else (value,):
                    if isinstance(text, str):
                        texts.append((place, text))
    for where, text in texts:
        if text:
            _lint_text(text, where, problems, looker)


def _lint_text(text: str, where: str, problems: Problems, looker: _Looker) -> None:
    _look_for_active(text, where, problems)
    _tell(_real_values(text, looker), where, problems)


def _tell(found: Iterator[str], where: str, problems: Problems) -> None:
    told: dict[str, None] = {}
    for value in found:
        told.setdefault(value)
        if len(told) > TOLD_PER_PLACE_MAX:
            break
    for value in islice(told, TOLD_PER_PLACE_MAX):
        problems.add("real-observable", where, f"{clip(value)} may be somebody's", MEND)
    if len(told) > TOLD_PER_PLACE_MAX:
        problems.add("real-observable", where, "there are more", "lint again when these are mended")


def _look_for_active(text: str, where: str, problems: Problems) -> None:
    """Note what a browser would run and what a terminal would obey."""
    match = _ACTIVE.search(_plainly(text))
    if match is not None:
        problems.add(
            "active-content",
            where,
            f"{clip(match[0])} is of a page that runs",
            "write plain text: it is shown as text anyway",
        )
    if not all(is_safe(line.replace("\t", " ").removesuffix("\r")) for line in text.split("\n")):
        problems.add(
            "active-content",
            where,
            "it has control or invisible characters, which a terminal may obey",
            "take them out",
        )


def _lint_payload(raw: bytes, path: str, where: str, problems: Problems, looker: _Looker) -> None:
    if path.lower().endswith(_ACTIVE_ENDINGS):
        problems.add(
            "active-content", where, "a file of this kind runs where it is opened", "write it as .txt or .md"
        )
    try:
        text = without_bom(raw)
    except AuthorError as error:
        problems.add("format", where, error.message, "a payload is STIX, CSAF or a text, in UTF-8")
        return
    if not text.strip():
        problems.add("format", where, "it is empty", "write something, or name another")
    elif text.lstrip()[:1] == b"{" or path.lower().endswith(".json"):
        _lint_json(text, where, problems, looker)
    else:
        _lint_text(text.decode("utf-8"), where, problems, looker)


def _lint_json(text: bytes, where: str, problems: Problems, looker: _Looker) -> None:
    if not is_shallow(text):
        problems.add("format", where, "lists and objects nest too deep", "write it as STIX or CSAF have it")
        return
    parsed, fault = parse_object(text)
    if parsed is not None and fault is None:
        fault = find_half_surrogate(parsed)
    if parsed is None or fault is not None:
        why = f"{fault.reason} {fault.path}".strip() if fault is not None else "not-json"
        problems.add("format", where, f"it is no JSON that can be read: {clip(why)}", "check it as JSON")
        return
    _check_form(parsed, where, problems)
    _tell(_real_in_json(parsed, looker), where, problems)
    for text_of_it in _texts_in(parsed):
        before = len(problems.told())
        _look_for_active(text_of_it, where, problems)
        if len(problems.told()) > before:
            break
    if _holds_key(parsed, "payload_bin"):
        problems.add(
            "active-content", where, "an artifact with its bytes stands in it", "give its hash alone"
        )


def _check_form(parsed: Mapping[str, Any], where: str, problems: Problems) -> None:
    """Note what makes it neither STIX 2.1 nor CSAF 2.0."""
    document = parsed.get("document")
    if isinstance(document, Mapping) and isinstance(document.get("csaf_version"), str):
        return
    objects = parsed.get("objects")
    if parsed.get("type") != "bundle" or not isinstance(objects, list):
        problems.add(
            "format",
            where,
            "it is JSON, and neither a STIX bundle nor a CSAF document",
            "write one of these, or a text",
        )
        return
    told = 0
    for number, stix in enumerate(objects):
        fault = find_wrong(stix) if isinstance(stix, dict) else None
        reason = (
            "not-an-object"
            if not isinstance(stix, dict)
            else f"{fault.reason} {fault.path}".strip()
            if fault is not None
            else ""
        )
        if reason:
            problems.add(
                "format", f"{where}, object {number}", f"it is no STIX 2.1: {clip(reason)}", "mend the object"
            )
            told += 1
            if told >= TOLD_PER_PLACE_MAX:
                return


def _texts_in(value: Any) -> Iterator[str]:
    """Yields all texts of a JSON value, names of members too. It is shallow."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield name
            yield from _texts_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts_in(member)


def _holds_key(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in value or any(_holds_key(member, key) for member in value.values())
    return isinstance(value, list) and any(_holds_key(member, key) for member in value)


def _real_in_json(value: Any, looker: _Looker) -> Iterator[str]:
    """Yields the values that are not reserved: where STIX has one exactly, and in every text."""
    if isinstance(value, Mapping):
        yield from _real_in_object(value, looker)
        for name, member in value.items():
            yield from _real_values(name, looker)
            yield from _real_in_json(member, looker)
    elif isinstance(value, list):
        for member in value:
            yield from _real_in_json(member, looker)
    elif isinstance(value, str):
        yield from _real_values(value, looker)


def _real_in_object(stix: Mapping[str, Any], looker: _Looker) -> Iterator[str]:
    pattern = stix.get("pattern")
    if isinstance(pattern, str) and stix.get("pattern_type", "stix") == "stix":
        pairs = comparisons_of(pattern)
        for type_, text in pairs:
            looker.spend_value()
            try:
                found = canonical_comparison(type_, text)
            except InvalidValue:
                continue
            if not is_reserved(*found):
                yield found[1]
        if not pairs:  # one that gives nothing here may be read by others
            yield from _real_among(
                (match[1].replace("\\", "") for match in _LITERAL.finditer(pattern)), looker
            )
    if stix.get("type") in _VALUED and isinstance(stix.get("value"), str):
        yield from _real_among((stix["value"],), looker)
    number = stix.get("number")
    if stix.get("type") == "autonomous-system" and isinstance(number, int) and not _is_reserved_as(number):
        yield f"AS{number}"[:32]
    hashes = stix.get("hashes")
    if isinstance(hashes, Mapping):
        for digest in hashes.values():
            if isinstance(digest, str) and digest.lower() not in EICAR_HASHES:
                yield digest


_VALUED = frozenset({"domain-name", "ipv4-addr", "ipv6-addr", "url", "email-addr", "mac-addr"})


def _real_among(values: Iterable[str], looker: _Looker) -> Iterator[str]:
    """Yields those of values that stand alone, as a list has them, which are not reserved."""
    for value in values:
        looker.spend_value()
        text = _plainly(value).strip()
        try:
            found = recognise(refang(text)).observable
        except InvalidValue:
            yield from _real_values(value, looker)
            continue
        if not is_reserved(found.type, found.value):
            yield found.value


def is_reserved(type_: str, value: str) -> bool:
    """Returns whether a canonical observable is of a range that is kept for documentation, or of a type that has none and is nobody's."""
    match type_:
        case "ipv4" | "ipv6" | "ipv4-net" | "ipv6-net":
            network = ip_network(value)
            return any(
                network.version == one.version and network.subnet_of(one)  # type: ignore[arg-type]
                for one in RESERVED_NETWORKS
            )
        case "domain":
            return _is_reserved_name(value)
        case "email":
            return _is_reserved_name(value.rpartition("@")[2])
        case "url":
            return _is_reserved_host(value)
        case "asn":
            return _is_reserved_as(int(value.lower().removeprefix("as")))
        case "mac":
            return value.lower().startswith(RESERVED_MACS)
    return type_ in _NAMED_IN_A_MACHINE or value.lower() in EICAR_HASHES


def _is_reserved_name(name: str) -> bool:
    return any(name == one or name.endswith(f".{one}") for one in RESERVED_NAMES)


def _is_reserved_host(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if not host:
        return False
    try:
        address = canonical("ipv6", host) if ":" in host else canonical("ipv4", host)
    except InvalidValue:
        return _is_reserved_name(host.rstrip("."))
    return is_reserved(address.type, address.value)


def _is_reserved_as(number: int) -> bool:
    return any(first <= number <= last for first, last in RESERVED_AS)


# --- running text -----------------------------------------------------------------------------------------


def _real_values(text: str, looker: _Looker) -> Iterator[str]:
    """Yields what in a running text is or may be an observable and is not reserved, as it reads there. Raises _TooManyWords."""
    for line in _plainly(text).split("\n"):
        for word in words_of(undo_marks(line)):
            if looker.is_real(word):
                yield word.text


def _plainly(text: str) -> str:
    """Returns a text as a reader sees it: wide letters, entities, percent signs and invisible characters undone, in lower case."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).translate(_DOTS))
    if "&" in text:
        text = _INVISIBLE.sub("", html.unescape(text)).translate(_DOTS)
    if "%" in text:
        text = unquote(text, errors="replace")
    if "\\." in text:
        text = text.replace("\\.", ".")
    return text.lower()


def _is_real(word: Word) -> bool:
    """Returns whether a word is or holds an observable that may be somebody's."""
    if word.kind == "hash":
        return _is_hash(word.text) and word.text not in EICAR_HASHES
    return word.kind != "cve" and (word.is_defanged or _may_be_real(word)) and _is_real_value(word)


def _is_hash(text: str) -> bool:
    return len(text) in HASH_TYPE_BY_LENGTH and is_likely_hash(text)


def _is_real_value(word: Word) -> bool:
    try:
        found = (
            canonical("url", f"http://{word.text}")
            if word.kind == "path"
            else recognise(word.text).observable
        )
    except InvalidValue:
        # A range, a value with something behind it: each address in it by itself.
        return any(_is_real_address(match[0]) for match in _IPV4.finditer(word.text))
    return not is_reserved(found.type, found.value)


def _is_real_address(text: str) -> bool:
    try:
        address = canonical("ipv4", text)
    except InvalidValue:
        return False
    return not is_reserved(address.type, address.value)


def _may_be_real(word: Word) -> bool:
    """Returns whether a word that nobody defanged can be a name or an address of the public Internet."""
    if word.kind == "url":
        return True
    host = word.text.rpartition("@")[2].partition("/")[0]
    if host.count(":") > 1 or _IPV4.search(host) is not None:
        return True
    labels = host.partition(":")[0].rstrip(".").removeprefix("*.").split(".")
    return (
        len(labels) >= 2
        and all(labels)
        and (labels[-1] in TOP_LEVEL_DOMAINS or labels[-1].startswith("xn--"))
        and (
            word.kind in ("email", "path")
            or (labels[-1] not in FILE_LIKE_DOMAINS and labels[-1] not in FILE_EXTENSIONS)
        )
    )
