"""Headers of tables: which name what is to be detected, and which name somebody or something that it must not hit.

A column is read because its header says so, or a person does. Words that name people, victims, reporters, references or what is
known to be good are looked for in English and a few other languages of CERTs; a header that no list here knows says
nothing, so a person is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from p2pshare.intel.display import clip

# Headers, lower case and with single blanks, under which people put what is to be detected.
VALUE_COLUMNS = frozenset(
    [
        "c2",
        "c2 domain",
        "c2 ip",
        "c2 server",
        "c2 url",
        "cidr",
        "domain",
        "domain name",
        "domains",
        "dst ip",
        "file hash",
        "fqdn",
        "hash",
        "hashes",
        "host",
        "hostname",
        "indicator",
        "indicator of compromise",
        "indicator value",
        "indicators",
        "indicators of compromise",
        "ioc",
        "ioc value",
        "iocs",
        "ip",
        "ip address",
        "ip addresses",
        "ips",
        "ipv4",
        "ipv6",
        "malicious email",
        "malicious url",
        "md5",
        "md5 hash",
        "network",
        "observable",
        "phishing email",
        "sha 1",
        "sha 256",
        "sha1",
        "sha1 hash",
        "sha256",
        "sha256 hash",
        "sha512",
        "sha512 hash",
        "url",
        "urls",
        "value",
    ]
)
DETECTION_COLUMN = "to ids"  # of a table that MISP wrote: 0 says that a value is not to be detected
# Words of which one stands in a header that may name values, beside words that say whose.
# fmt: off
VALUE_WORDS = frozenset(
    {
        "artifact", "artifacts", "c2", "c2s", "cidr", "cnc", "domain", "domains", "fqdn", "fqdns", "hash", "hashes",
        "host", "hosts", "hostname", "hostnames", "indicator", "indicators", "ioc", "iocs", "ip", "ips", "ipv4", "ipv6",
        "md5", "network", "networks", "observable", "observables", "sha", "sha1", "sha224", "sha256", "sha384",
        "sha512", "subnet", "subnets", "uri", "uris", "url", "urls",
    }
)
# fmt: on
_BAD_WORDS = frozenset(
    {"attacker", "bad", "c2", "indicator", "indicators", "ioc", "iocs", "malicious", "phishing"}
)
_ANY_TYPE = frozenset({"indicator", "indicators", "ioc", "iocs", "observable", "value"})
_EMAIL_COLUMNS = frozenset({"malicious email", "phishing email"})

# Beginnings of words, without accents.
# fmt: off
_PEOPLE = (
    "account", "admin", "analyst", "author", "benutzer", "contact", "contacto", "correo", "email", "employee", "kontakt", "mail", "manager",
    "member", "mitarbeiter", "owner", "people", "person", "phone", "recipient", "responsible", "staff", "usuario", "utilisateur",
)
_VICTIMS = (
    "affected", "afectad", "asset", "betroffen", "cible", "client", "compromised", "constituent", "customer", "honeypot", "infect", "infizier",
    "internal", "kunde", "opfer", "patient", "sensor", "sinkhole", "target", "victim", "vulnerable", "zielsystem",
)
_REPORTERS = (
    "abuse", "contributor", "informant", "melder", "noc", "provider", "registrant", "registrar", "report", "submit", "vendor", "whois",
)
_REFERENCES = (
    "advisor", "article", "aviso", "blog", "bulletin", "detail", "doc", "enlace", "evidence", "fuente", "homepage", "lien", "link", "news",
    "patch", "permalink", "quelle", "ref", "sandbox", "screenshot", "tweet", "virustotal", "website", "writeup",
)
_KNOWN_GOOD = (
    "allow", "benign", "brand", "clean", "exclu", "expected", "good", "harmless", "ignor", "impersonat", "legit", "mimic", "official",
    "original", "safe", "spoofed", "trusted", "white",
)
_NO_FILES = ("authentihash", "cert", "commit", "fingerprint", "hassh", "imphash", "ja3", "ja4", "serial", "ssl", "thumbprint", "tls")
_OTHERS = _PEOPLE + _VICTIMS + _REPORTERS + _REFERENCES + _KNOWN_GOOD + _NO_FILES
_OTHERS_WHOLE = frozenset({"bot", "bots", "cc", "drone", "false", "fp", "info", "isp", "more", "our", "own", "post", "user", "users", "vt"})
_SOURCES = frozenset({"source", "sources", "src"})  # of what was written, unless an address or a host is one
_ENDS = frozenset({"address", "addr", "host", "hostname", "ip", "ips", "ipv4", "ipv6", "port"})

# What stands beside the values in a table of machines that somebody is told about, not warned of.
_OF_VICTIMS = ("betroffen", "compromised", "constituent", "infect", "infizier", "naics", "opfer", "sinkhole", "victim")
_OF_EXPOSED = frozenset({"city", "device vendor", "device type", "geo", "hostname source", "region", "sector", "severity", "tag"})
EXPOSED_SIGNS_MIN = 3  # of these: one or two stand in feeds as well
_OF_SINKHOLES = frozenset({"cc asn", "cc dns", "cc ip", "cc port", "sic"})
_OF_ASSETS = ("asset", "department", "employee", "inventar", "inventory", "abteilung")
_OF_MACHINES = frozenset(
    {"antivirus", "building", "last logon", "location", "manufacturer", "model", "operating system", "os", "os version", "owner", "room", "site", "user"}
)
MACHINE_SIGNS_MIN = 2
KNOWN_FILES = "files of known software"
_OF_SOFTWARE = frozenset({"op system code", "product code", "special code"})  # the NSRL's files that are known
_SENDING_END = frozenset({"source", "source address", "source ip", "src", "src addr", "src ip"})
_RECEIVING_END = frozenset({"destination", "destination address", "destination ip", "dest ip", "dst", "dst addr", "dst ip"})
# fmt: on
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
NAME_WORDS_MAX = 6  # more is a sentence and no header


def header_name(cell: str) -> str:
    """Returns a header as VALUE_COLUMNS has it."""
    return " ".join(re.findall(r"[a-z0-9]+", cell.lower()))


def _words(cell: str) -> list[str]:
    """Returns the words of a header in lower case without accents; a capital inside one begins another."""
    bare = "".join(
        one for one in unicodedata.normalize("NFKD", cell) if not unicodedata.category(one).startswith("M")
    )
    return re.findall(r"[^\W_]+", _HUMP.sub(" ", bare).casefold())


def names_values(cell: str) -> bool:
    """Returns whether a header says that what stands under it is to be detected."""
    return header_name(cell) in VALUE_COLUMNS


def names_others(cell: str) -> bool:
    """Returns whether a header names people, victims, reporters, references, what is known to be good, or what is no file."""
    words = _words(cell)
    if not words or len(words) > NAME_WORDS_MAX or names_values(cell) or words == ["user", "agent"]:
        return False
    if not _SOURCES.isdisjoint(words) and _ENDS.isdisjoint(words):
        return True
    return not _OTHERS_WHOLE.isdisjoint(words) or any(word.startswith(_OTHERS) for word in words)


def may_name_values(cell: str) -> bool:
    """Returns whether a header names a kind of value, and nobody it must not hit."""
    return not names_others(cell) and not VALUE_WORDS.isdisjoint(_words(cell))


def says_bad(cell: str) -> bool:
    """Returns whether a header that names values says, too, that they are bad."""
    return names_values(cell) and not _BAD_WORDS.isdisjoint(_words(cell))


def takes_emails(cell: str) -> bool:
    """Returns whether e-mail addresses under a header are to be detected: it says so, or that it holds any kind of value."""
    name = header_name(cell)
    return name in _EMAIL_COLUMNS or (name in VALUE_COLUMNS and not _ANY_TYPE.isdisjoint(name.split()))


def whom_it_is_about(header: Sequence[str]) -> str:
    """Returns whom a table tells about instead of warning of, with the headers that say so; empty for any other table."""
    header = [clip(cell) for cell in header]
    names = [" ".join(_words(cell)) for cell in header]
    victims = [
        cell
        for cell, name in zip(header, names, strict=True)
        if name in _OF_SINKHOLES or any(word.startswith(_OF_VICTIMS) for word in _words(cell))
    ]
    exposed = [cell for cell, name in zip(header, names, strict=True) if name in _OF_EXPOSED]
    if victims or len(exposed) >= EXPOSED_SIGNS_MIN:
        return f"victims ({', '.join(victims or exposed)})"
    software = [cell for cell, name in zip(header, names, strict=True) if name in _OF_SOFTWARE]
    if software:
        return f"{KNOWN_FILES} ({', '.join(software)})"
    machines = [cell for cell, name in zip(header, names, strict=True) if name in _OF_MACHINES]
    assets = [cell for cell in header if any(word.startswith(_OF_ASSETS) for word in _words(cell))]
    if assets or len(machines) >= MACHINE_SIGNS_MIN:
        return f"somebody's own machines ({', '.join(assets or machines)})"
    ends = [
        [cell for cell, name in zip(header, names, strict=True) if name in end]
        for end in (_SENDING_END, _RECEIVING_END)
    ]
    return f"connections, of which one end is a victim ({', '.join(ends[0] + ends[1])})" if all(ends) else ""
