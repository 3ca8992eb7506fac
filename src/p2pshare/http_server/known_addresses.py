"""Origins of connections, and the addresses of callers that are known.

1. An address is an IPv4 address, or the /64 that one IPv6 host commonly owns. A prefix is what one attacker
   gets many addresses of at once.
2. An address is known for a caller because it was told for it (its card), or because the caller was admitted from
   there lately, or reached there by us, its certificate checked. Names are never resolved for this.
3. No caller is admitted for its address: a known one only finds a place while strangers crowd the door.
4. A caller makes few addresses known, its newest, and all callers together a bounded number. A caller that is forgotten
   takes its addresses along.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from p2pshare.http_server.interface import Caller

ADDRESS_BITS_IPV6 = (
    64  # of an address that counts: RFC 4291 section 2.5.1 leaves the rest to one network's hosts
)
PREFIX_BITS_IPV4 = 24  # the longest prefix that is routed between providers: what is rented at least
PREFIX_BITS_IPV6 = 48  # what a provider commonly gives to one site: RFC 6177

ADMITTED_SECONDS = (
    7 * 86_400
)  # "lately": a node that dials once a week is still known, a lease of last month is not
ADMITTED_ADDRESSES_PER_CALLER_MAX = 8  # as many as a card names: two sites, both families, two providers
ADMITTED_CALLERS_MAX = 4_096  # 33,000 addresses, 10 MB; far beyond the partners of one node


@dataclass(frozen=True, slots=True)
class Origin:
    """The address and the prefix of a connection's other end, each as text."""

    address: str
    prefix: str


def origin_of(host: str) -> Origin:
    """Returns the origin of `host`, a numeric IPv4 or IPv6 address; a scope behind `%` is left out. Raises ValueError."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return Origin(_network(address, ADDRESS_BITS_IPV6), _network(address, PREFIX_BITS_IPV6))
        address = address.ipv4_mapped
    return Origin(str(address), _network(address, PREFIX_BITS_IPV4))


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> str:
    spare = address.max_prefixlen - bits
    return f"{type(address)(int(address) >> spare << spare)}/{bits}"


class KnownAddresses(Generic[Caller]):
    """The addresses of callers: told ones until they are told anew, and those of the last admissions.

    `now` is any clock in seconds that never goes back; a clock that starts anew starts with nothing known.
    """

    def __init__(self) -> None:
        self._told: dict[Caller, frozenset[str]] = {}
        self._admitted: dict[Caller, dict[str, float]] = {}  # both dicts: the longest not admitted first
        self._callers: dict[str, set[Caller]] = {}  # of an address, told or admitted

    def tell(self, caller: Caller, hosts: Iterable[str]) -> None:
        """Take `hosts` (numeric addresses) in place of those told before for this caller. Raises ValueError."""
        told = frozenset(origin_of(host).address for host in hosts)
        before = self._told.pop(caller, frozenset())
        if told:
            self._told[caller] = told
        for address in before - told - self._admitted.get(caller, {}).keys():
            self._unlink(caller, address)
        for address in told:
            self._callers.setdefault(address, set()).add(caller)

    def note_admitted(self, caller: Caller, host: str, now: float) -> None:
        """Note that the caller showed its certificate at `host` (a numeric address). Raises ValueError."""
        address = origin_of(host).address
        admitted = self._admitted.pop(caller, {})
        admitted.pop(address, None)
        self._admitted[caller] = admitted
        admitted[address] = now
        self._callers.setdefault(address, set()).add(caller)
        if len(admitted) > ADMITTED_ADDRESSES_PER_CALLER_MAX:
            self._drop_admitted(caller, next(iter(admitted)))
        if len(self._admitted) > ADMITTED_CALLERS_MAX:
            longest_ago = next(iter(self._admitted))
            for address in list(self._admitted[longest_ago]):
                self._drop_admitted(longest_ago, address)
            del self._admitted[longest_ago]

    def is_known(self, address: str, now: float) -> bool:
        """Returns whether `address` (of an Origin) was told for a caller, or a caller was admitted from there lately."""
        return any(
            address in self._told.get(caller, ()) or now - self._admitted[caller][address] <= ADMITTED_SECONDS
            for caller in self._callers.get(address, ())
        )

    def forget(self, caller: Caller) -> None:
        """Forget all addresses of the caller."""
        for address in self._told.pop(caller, frozenset()) | self._admitted.pop(caller, {}).keys():
            self._unlink(caller, address)

    def _drop_admitted(self, caller: Caller, address: str) -> None:
        del self._admitted[caller][address]
        if address not in self._told.get(caller, ()):
            self._unlink(caller, address)

    def _unlink(self, caller: Caller, address: str) -> None:
        self._callers[address].discard(caller)
        if not self._callers[address]:
            del self._callers[address]
