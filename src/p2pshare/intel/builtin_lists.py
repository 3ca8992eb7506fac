"""The warning lists that need no import: what is no indicator anywhere, from public registries.

Addresses for documentation and benchmarks (RFC 5737, RFC 3849, RFC 9637, RFC 2544) are left out: on a block list they
harm nobody, and examples, exercises and tests are made of them (docs/decisions/0033).
"""

from __future__ import annotations

import hashlib

from p2pshare.intel.warning_lists import Kind, WarningList, compile_list

BUILTIN_VERSION = 1  # raised with each change of the entries: the index then takes them anew

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and multicast (RFC 5771, RFC 4291 section 2.7).
# Not here: 64:ff9b::/96 and ::ffff:0:0/96, whose addresses are IPv4 addresses in other clothes.
SPECIAL_PURPOSE = (
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private use, RFC 1918
    "100.64.0.0/10",  # shared address space of providers, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "169.254.0.0/16",  # link local, RFC 3927
    "172.16.0.0/12",  # private use, RFC 1918
    "192.0.0.0/24",  # protocol assignments, RFC 6890
    "192.88.99.0/24",  # 6to4 relay anycast, RFC 7526
    "192.168.0.0/16",  # private use, RFC 1918
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, RFC 1112; holds the broadcast address
    "::/128",  # unspecified, RFC 4291
    "::1/128",  # loopback, RFC 4291
    "64:ff9b:1::/48",  # local translation, RFC 8215
    "100::/64",  # discard only, RFC 6666
    "2001::/23",  # protocol assignments, RFC 2928; holds Teredo
    "2002::/16",  # 6to4, RFC 3056
    "5f00::/16",  # segment routing, RFC 9602
    "fc00::/7",  # unique local, RFC 4193
    "fe80::/10",  # link local, RFC 4291
    "fec0::/10",  # site local, deprecated by RFC 3879
    "ff00::/8",  # multicast, RFC 4291
)

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
    """Each of them, compiled."""
    empty_hashes = [
        hashlib.new(name, b"", usedforsecurity=False).hexdigest() for name in EMPTY_FILE_ALGORITHMS
    ]
    return (
        _builtin(
            "special-purpose addresses",
            "addresses that the IANA registries give to no single host of the Internet",
            Kind.CIDR,
            ("ip-src",),
            SPECIAL_PURPOSE,
        ),
        _builtin(
            "public resolvers",
            "DNS resolvers that anybody may ask, so malware does",
            Kind.STRING,
            ("ip-src", "domain"),
            PUBLIC_RESOLVERS,
        ),
        _builtin(
            "empty files",
            "hashes of a file of no bytes",
            Kind.STRING,
            EMPTY_FILE_ATTRIBUTES,
            (*empty_hashes, EMPTY_SSDEEP),
        ),
    )


def _builtin(
    name: str, description: str, kind: Kind, attributes: tuple[str, ...], entries: tuple[str, ...]
) -> WarningList:
    return compile_list(
        name=name,
        version=BUILTIN_VERSION,
        description=description,
        kind=kind,
        attributes=attributes,
        entries=entries,
    )
