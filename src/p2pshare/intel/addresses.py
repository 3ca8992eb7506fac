"""Canonical form of IP addresses and networks.

IPv4: four decimal octets without leading zeros. IPv6: RFC 5952 (lower case, longest zero run folded). An
IPv4-mapped IPv6 address is the IPv4 address; a /32 or /128 network is the address; host bits of a network are
cleared. Zone ids are refused: they mean something on one machine only.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from p2pshare.intel.refusals import InvalidValue

OCTETS = frozenset(str(number) for number in range(256))
ADDRESS_CHARACTERS_MAX = 64  # the longest IPv6 network has 43 characters; keeps the slow path short
MAPPED_PREFIX_BITS = 96  # ::ffff:0:0/96
_GROUP = "[1-9a-f][0-9a-f]{0,3}+"
_IPV6_SHAPE = re.compile(rf"{_GROUP}(?::{_GROUP}){{0,4}}::{_GROUP}(?::{_GROUP}){{0,4}}")


# Ranges as people write them. A word processor's dashes are dashes here; blanks only around the dash of a whole range.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_V4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:/\d{1,2})?"
_PART = r"(?:\d{1,3}(?:[-_~]\d{1,3})?|\*|[xX]{1,3}|\[\d{1,3}-\d{1,3}\])"
_RANGE = re.compile(
    rf"{_V4} ?(?:[-_~]{{1,2}}|\.\.) ?(?:{_V4}|\d{{1,3}}(?:\.\d{{1,3}}){{0,2}})(?:/\d{{1,2}})?"
    rf"|(?:{_PART}\.){{3}}{_PART}(?:/\d{{1,2}})?"
    r"|[0-9a-fA-F:.]{2,45}(?:/\d{1,3})? ?[-~]{1,2} ?[0-9a-fA-F:.]{1,45}(?:/\d{1,3})?",
    re.ASCII,
)
RANGE_CHARACTERS_MAX = 2 * 64  # two networks and a dash
# What stands behind an address and its slash and is no path: a mask, a length with more behind it.
_LIKE_MASK = re.compile(r"\d{1,3}(?:[,;:-].*|/+)|[\d.]*\.[\d.]*/*", re.ASCII | re.DOTALL)
ALL_ONES = 0xFFFF_FFFF


def is_address_range(text: str) -> bool:
    """Returns whether `text` says more than one address otherwise than as a network: `192.0.2.1-5`, `192.0.2.*`, ..."""
    if len(text) > RANGE_CHARACTERS_MAX or is_ipv4(text):
        return False
    text = text.translate(_DASHES)
    if _RANGE.fullmatch(text) is None:
        return False
    is_network = (
        text.replace(".", "").replace("/", "").isdigit() and ".." not in text
    )  # wrong perhaps, but it says one
    return not is_network and (
        "." in text if text[0] in "*xX[" else text.count(".") >= 3 or text.count(":") >= 2
    )


def is_like_mask(text: str) -> bool:
    """Returns whether `text`, found behind an address and a slash, is a mask or a length that was spoilt, and no path."""
    return _LIKE_MASK.fullmatch(text.translate(_DASHES)) is not None


def with_length(address: str, mask: str) -> str | None:
    """Returns `192.0.2.0/24` for the mask 255.255.255.0; None where `mask` is none whose ones stand together."""
    if not (is_ipv4(address) and is_ipv4(mask)):
        return None
    number = int(IPv4Address(mask))
    zeros = number ^ ALL_ONES
    return f"{address}/{number.bit_count()}" if number and zeros & (zeros + 1) == 0 else None


def is_ipv4(text: str) -> bool:
    """Returns whether `text` is exactly a canonical IPv4 address."""
    parts = text.split(".", 4)
    return (
        len(parts) == 4
        and parts[0] in OCTETS
        and parts[1] in OCTETS
        and parts[2] in OCTETS
        and parts[3] in OCTETS
    )


def is_plain_ipv6(text: str) -> bool:
    """Returns whether `text` is a canonical IPv6 address of the common kind, with one run of zeros inside.
    Fast path: False decides nothing."""
    # No group but those of the run is zero, so it is the longest; of two groups or more, as there are six others.
    return _IPV6_SHAPE.fullmatch(text) is not None and text.count(":") <= 6


def canonical_address(text: str) -> tuple[str, str]:
    """Returns (type, value) of an address or a network; the type is `ipv4`, `ipv6`, `ipv4-net` or `ipv6-net`.

    Raises InvalidValue: bad-address, bad-network, zone-id.
    """
    if is_ipv4(text):
        return "ipv4", text
    return _canonical_network(text) if "/" in text else _canonical_host(text)


def _canonical_host(text: str) -> tuple[str, str]:
    if "%" in text:
        raise InvalidValue("zone-id")
    try:
        address = ip_address(text) if len(text) <= ADDRESS_CHARACTERS_MAX else None
    except ValueError:
        address = None
    if address is None:
        raise InvalidValue("bad-address")
    return _of_address(address)


def _of_address(address: IPv4Address | IPv6Address) -> tuple[str, str]:
    if isinstance(address, IPv4Address):
        return "ipv4", str(address)
    mapped = address.ipv4_mapped
    return ("ipv6", address.compressed) if mapped is None else ("ipv4", str(mapped))


def _canonical_network(text: str) -> tuple[str, str]:
    if "%" in text:
        raise InvalidValue("zone-id")
    host, _, length = text.partition("/")
    # A prefix length in decimal digits only; a netmask is read where people write (`observable.recognise`).
    if len(text) > ADDRESS_CHARACTERS_MAX or not (length.isascii() and length.isdigit() and len(length) <= 3):
        raise InvalidValue("bad-network")
    try:
        network = ip_network(f"{host}/{int(length)}", strict=False)
    except ValueError:
        raise InvalidValue("bad-network") from None
    if network.prefixlen == network.max_prefixlen:
        return _of_address(network.network_address)
    if isinstance(network, IPv6Network):
        folded = _fold_mapped(network)
        return ("ipv6-net", network.compressed) if folded is None else ("ipv4-net", str(folded))
    return "ipv4-net", str(network)


def _fold_mapped(network: IPv6Network) -> IPv4Network | None:
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < MAPPED_PREFIX_BITS:
        return None
    return IPv4Network((mapped, network.prefixlen - MAPPED_PREFIX_BITS))
