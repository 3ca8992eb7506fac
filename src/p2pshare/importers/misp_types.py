"""Meaning of MISP's words: attribute types, tags that mark, and numbers that stand for words. Literal tables.

The types are those of the MISP core format (draft-dulaunoy-misp-core-format, describeTypes.json). A composite type
joins two values with `|`. A value without canonical type here is kept as MISP's own attribute and claims nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.intel.marking import KNOWN, Pap, Tlp, levels_of
from p2pshare.intel.marking_words import MarkingWords, words_in_text
from p2pshare.intel.observable import InvalidValue, Observable, canonical, recognise

ADDRESS = "address"  # IPv4 or IPv6, an address or a network
BESIDE = ""  # says more about the other half, and is no thing to detect by itself: a file's name, a port

# type -> what each half of its value is
OBSERVABLE_TYPES: dict[str, tuple[str, ...]] = {
    "AS": ("asn",),
    "domain": ("domain",),
    "domain|ip": ("domain", ADDRESS),
    "email": ("email",),
    "email-dst": ("email",),
    "email-src": ("email",),
    "filename": ("file-name",),
    "filename|imphash": (BESIDE, "imphash"),
    "filename|md5": (BESIDE, "md5"),
    "filename|sha1": (BESIDE, "sha1"),
    "filename|sha224": (BESIDE, "sha224"),
    "filename|sha256": (BESIDE, "sha256"),
    "filename|sha3-256": (BESIDE, "sha3-256"),
    "filename|sha3-512": (BESIDE, "sha3-512"),
    "filename|sha384": (BESIDE, "sha384"),
    "filename|sha512": (BESIDE, "sha512"),
    "filename|ssdeep": (BESIDE, "ssdeep"),
    "filename|tlsh": (BESIDE, "tlsh"),
    "hostname": ("domain",),
    "hostname|port": ("domain", BESIDE),
    "imphash": ("imphash",),
    "ip-dst": (ADDRESS,),
    "ip-dst|port": (ADDRESS, BESIDE),
    "ip-src": (ADDRESS,),
    "ip-src|port": (ADDRESS, BESIDE),
    "mac-address": ("mac",),
    "malware-sample": (BESIDE, "md5"),
    "md5": ("md5",),
    "mutex": ("mutex",),
    "onion-address": ("domain",),
    "regkey": ("registry-key",),
    "regkey|value": ("registry-key", BESIDE),
    "sha1": ("sha1",),
    "sha224": ("sha224",),
    "sha256": ("sha256",),
    "sha3-256": ("sha3-256",),
    "sha3-512": ("sha3-512",),
    "sha384": ("sha384",),
    "sha512": ("sha512",),
    "ssdeep": ("ssdeep",),
    "tlsh": ("tlsh",),
    "uri": ("url",),
    "url": ("url",),
    "user-agent": ("user-agent",),
}
# type -> pattern_type of STIX 2.1 section 10.8
RULE_TYPES: dict[str, str] = {
    "sigma": "sigma",
    "snort": "snort",
    "stix2-pattern": "stix",
    "suricata": "suricata",
    "yara": "yara",
}
# What `recognise` may answer for a value that is not canonical as it stands, by what it should be.
ALSO: dict[str, frozenset[str]] = {
    ADDRESS: frozenset({"ipv4", "ipv6", "ipv4-net", "ipv6-net"}),
    "domain": frozenset({"domain"}),
    "email": frozenset({"email"}),
    "url": frozenset({"url"}),
}

OWN_ORGANISATION, SHARING_GROUP, INHERIT = "0", "4", "5"
SIGHTING, FALSE_POSITIVE, EXPIRATION = "0", "1", "2"


class AttributeValue(NamedTuple):
    """The observables in an attribute's value, the half that is none, and a word for what was dropped or assumed."""

    observables: tuple[Observable, ...]
    beside: str
    note: str


def read_value(type_: str, text: str) -> AttributeValue:
    """Returns the value of an attribute whose type is in OBSERVABLE_TYPES. Raises InvalidValue."""
    halves = OBSERVABLE_TYPES[type_]
    if len(halves) == 1:
        found, note = _read_half(halves[0], text)
        return AttributeValue((found,), "", note)
    # A file's name may hold the separator, a hash never does; of a registry key it is the other way about.
    left, separator, right = text.rpartition("|") if halves[0] == BESIDE else text.partition("|")
    if not separator:
        raise InvalidValue("not-two-values")
    observables, beside, notes = [], "", []
    for half, part in zip(halves, (left, right), strict=True):
        if half == BESIDE:
            beside = part.strip()
            continue
        found, note = _read_half(half, part)
        observables.append(found)
        notes.append(note)
    return AttributeValue(tuple(observables), beside, next(filter(None, notes), ""))


def _read_half(kind: str, text: str) -> tuple[Observable, str]:
    try:
        return canonical("ipv6" if kind == ADDRESS else kind, text), ""
    except InvalidValue:
        if kind not in ALSO:
            raise
        found = recognise(text)  # defanged, or without its scheme
        if found.observable.type not in ALSO[kind]:
            raise
        return found.observable, found.note


class TagMarking(NamedTuple):
    """Marking in a list of tags. `unknown` are tags of these schemes that nobody understands, `at_least` is the level
    of marking words beside the tags: it tightens, and gives no level."""

    levels: frozenset[Tlp]
    pap: Pap | None
    unknown: tuple[str, ...]
    at_least: Tlp | None = None


def marking_of_tags(tags: tuple[str, ...]) -> TagMarking:
    """Returns the marking in tags of TLP 1 and 2 and PAP, in MISP's spelling (`tlp:amber`) and those of
    others (`TLP-AMBER`, `TLP: Amber Strict`)."""
    levels: set[Tlp] = set()
    paps: set[Pap] = set()
    unknown = []
    for tag in tags:
        words = words_in_text(tag, is_label=True)
        tlp, pap = levels_of(words)
        levels.update(() if tlp is None else (tlp,))
        paps.update(() if pap is None else (pap,))
        if words.unknown:
            unknown.append(tag)
    return TagMarking(frozenset(levels), max(paps, default=None), tuple(unknown))


def tightened(tags: TagMarking, words: MarkingWords) -> TagMarking:
    """Returns the marking of tags, with other words of marking on the same thing."""
    tlp, pap = levels_of(words)
    meanings = [KNOWN.get(ref) for ref in sorted(words.refs)]
    return TagMarking(
        tags.levels,
        max((one for one in (tags.pap, pap, *meanings) if isinstance(one, Pap)), default=None),
        (*tags.unknown, *sorted(words.unknown), *(ref for ref in sorted(words.refs) if ref not in KNOWN)),
        max((one for one in (tags.at_least, tlp, *meanings) if isinstance(one, Tlp)), default=None),
    )


def inherited(outer: TagMarking, own: TagMarking) -> TagMarking:
    """Returns the marking of a thing inside another: the stricter of the two, for a marking only tightens. Two levels in
    one place, and tags that nobody understands, stay side by side: the gate refuses them (`intel.marking`)."""
    levels = outer.levels | own.levels
    if len(outer.levels) < 2 and len(own.levels) < 2 and levels:
        levels = frozenset({max(levels)})
    return TagMarking(
        levels,
        max((one for one in (outer.pap, own.pap) if one is not None), default=None),
        tuple(dict.fromkeys((*outer.unknown, *own.unknown))),
        max((one for one in (outer.at_least, own.at_least) if one is not None), default=None),
    )


def is_marking_tag(tag: str) -> bool:
    """Returns whether a tag is of the schemes that mark: it becomes a marking, never a label."""
    words = words_in_text(tag, is_label=True)
    return bool(words.tlp or words.pap or words.unknown)
