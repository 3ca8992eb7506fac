"""The warning lists that need no import: values that are no indicators anywhere, from public registries.

Addresses for documentation and benchmarks (RFC 5737, RFC 3849, RFC 9637, RFC 2544) are left out: on a block
list they harm nobody, and examples, exercises and tests are made of them (docs/decisions/0033).
"""

from __future__ import annotations

import hashlib

from p2pshare.intel.spans import SPECIAL_PURPOSE
from p2pshare.warninglists.warning_lists import MatchKind, WarningList, compile_list

BUILTIN_VERSION = 1  # raised with each change of the entries: the index then takes them anew

# Resolvers open to everybody, as their operators publish them.
PUBLIC_RESOLVERS = (
    "1.0.0.1",
    "1.1.1.1",
    "2606:4700:4700::1001",
    "2606:4700:4700::1111",
    "8.8.4.4",
    "8.8.8.8",
    "2001:4860:4860::8844",
    "2001:4860:4860::8888",
    "9.9.9.9",
    "149.112.112.112",
    "2620:fe::9",
    "2620:fe::fe",
    "208.67.220.220",
    "208.67.222.222",
    "2620:119:35::35",
    "2620:119:53::53",
    "94.140.14.14",
    "94.140.15.15",
    "2a10:50c0::ad1:ff",
    "2a10:50c0::ad2:ff",
    "4.2.2.1",
    "4.2.2.2",
    "64.6.64.6",
    "64.6.65.6",
    "77.88.8.1",
    "77.88.8.8",
    "114.114.114.114",
    "223.5.5.5",
    "223.6.6.6",
    "119.29.29.29",
    "dns.google",
    "one.one.one.one",
    "dns.quad9.net",
    "dns.opendns.com",
    "resolver1.opendns.com",
    "resolver2.opendns.com",
)

EMPTY_FILE_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512")
EMPTY_FILE_ATTRIBUTES = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", "ssdeep"),
    *("imphash", "ja3-fingerprint-md5", "hassh-md5"),  # fingerprints that are an MD5, of nothing
)
EMPTY_SSDEEP = "3::"


def builtin_lists() -> tuple[WarningList, ...]:
    """Returns each of them, compiled."""
    empty_hashes = [
        hashlib.new(name, b"", usedforsecurity=False).hexdigest() for name in EMPTY_FILE_ALGORITHMS
    ]
    return (
        _builtin(
            "special-purpose addresses",
            "addresses that the IANA registries give to no single host of the Internet",
            MatchKind.CIDR,
            ("ip-src",),
            SPECIAL_PURPOSE,
        ),
        _builtin(
            "public resolvers",
            "DNS resolvers that anybody may ask, so malware does",
            MatchKind.STRING,
            ("ip-src", "domain"),
            PUBLIC_RESOLVERS,
        ),
        _builtin(
            "empty files",
            "hashes of a file of no bytes",
            MatchKind.STRING,
            EMPTY_FILE_ATTRIBUTES,
            (*empty_hashes, EMPTY_SSDEEP),
        ),
    )


def _builtin(
    name: str, description: str, kind: MatchKind, attributes: tuple[str, ...], entries: tuple[str, ...]
) -> WarningList:
    return compile_list(
        name=name,
        version=BUILTIN_VERSION,
        description=description,
        kind=kind,
        attributes=attributes,
        entries=entries,
    )
