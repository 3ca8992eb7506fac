"""Admission by TLS: pinned certificates, and the TLS contexts built from them.

The rules of this file:

1. TLS 1.3 and nothing else; both sides show a certificate; no tickets (a ticket outlives a removed pin): `http_server.tls`.
2. A partner's exact certificates are the only trust anchors. The anchor must be CA:FALSE: with CA:TRUE its
   owner could mint a second identity that passes the handshake.
3. The handshake is not the last word: `partner_of` compares the exact DER bytes, when a connection is made
   and again at each request. That is also how a removed partner is out within one request.
4. A certificate belongs to one partner, which it names (`envelope.certificate`). One that two claim all the same, or that
   is our own, is pinned for nobody: requests would count as the wrong one's, and whoever came first would shut out the
   other.
5. A client context trusts the certificates of one partner, so that no other server is ever shown ours.
6. An address lets nobody in. It only finds a place at a crowded door: the numeric ones of partners' cards, and those at
   which a pinned certificate was shown. Names are not resolved for it, so nothing waits and no name server is believed.
7. A guest's certificate follows from what its host knows (`envelope.guest`), so it is one more anchor. It names no partner, and
   whoever shows it is spoken with as a guest (`peering.guest_door`), never as a caller.
8. The private key goes into OpenSSL through an anonymous memory file, never through the disk: `http_server.tls`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from p2pshare.config import url_address
from p2pshare.envelope.certificate import check_leaf
from p2pshare.envelope.guest import knock_key
from p2pshare.envelope.keys import TlsKey
from p2pshare.errors import ConfigError, PeerError
from p2pshare.http_server.known_addresses import KnownAddresses, origin_of
from p2pshare.http_server.tls import Pin, hardened_context, load_own_key, pin_of
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_TLS_CERTIFICATES_MAX


class TlsGate:
    """Our certificate and key, and the table of pinned partners. There is one for each node, used from the event loop."""

    def __init__(self, key: TlsKey) -> None:
        self.known_addresses: KnownAddresses[PartnerId] = KnownAddresses()
        self._key = key
        self._own = frozenset((key.certificate,))
        self._claims: dict[PartnerId, dict[Pin, bytes]] = {}
        self._partners: dict[Pin, PartnerId] = {}
        self._guests: dict[Pin, bytes] = {}
        self._invited: dict[Pin, bytes] = {}
        self._newest: ssl.SSLContext | None = None
        self._front = self._own_context(ssl.PROTOCOL_TLS_SERVER)
        self._front.sni_callback = self._swap_in_newest

    @property
    def shown_certificate(self) -> bytes:
        return self._key.certificate

    def show(self, key: TlsKey, own_certificates: Collection[bytes]) -> bytes | None:
        """Show the certificate of `key` from the next handshake on; returns the one of before, None where it is the same.

        `own_certificates` (DER) are those of our card: none of them is pinned for a partner.
        """
        self._own = frozenset(own_certificates) | {key.certificate}
        before, self._key = self._key.certificate, key
        self._pin_claims()
        return before if before != key.certificate else None

    def expect_guests(self, certificates: Iterable[bytes]) -> None:
        """Let in as guests who show one of `certificates` (DER), in place of those before; none of them is a partner's."""
        self._guests = {pin_of(certificate): certificate for certificate in certificates}
        self._pin_claims()

    def expect_invited(self, certificates: Iterable[bytes]) -> None:
        """Let in as guests of invitations who show one of `certificates` (DER), in place of those before."""
        self._invited = {pin_of(certificate): certificate for certificate in certificates}
        self._pin_claims()

    def expect_knocks(self, own_card: bytes) -> None:
        """Let in as guests who hold our card file. Raises PeerError as `envelope.guest.knock_key` does."""
        self.expect_guests([knock_key(own_card).certificate])

    def is_guest(self, pin: Pin | None) -> bool:
        """Returns whether a certificate with this pin is that of who knocks."""
        return pin in self._guests

    def invited(self, pin: Pin | None) -> bytes | None:
        """Returns the certificate (DER) of an invitation's guest with this pin; None for anybody else's."""
        return None if pin is None else self._invited.get(pin)

    def add(self, partner_id: PartnerId, certificates: Sequence[bytes]) -> None:
        """Pin `certificates` (DER; two while rotating) for `partner_id`, in place of those it had; what another claims, too,
        for neither (`uncontested`).

        The next handshake sees it. Raises PeerError `bad-certificate`; the table is then unchanged.
        """
        if not 1 <= len(certificates) <= CARD_TLS_CERTIFICATES_MAX:
            raise PeerError("a partner has one or two TLS certificates", reason="bad-certificate")
        for certificate in certificates:
            check_anchor(certificate)
        self._claims[partner_id] = {pin_of(certificate): certificate for certificate in certificates}
        self._pin_claims()

    def remove(self, partner_id: PartnerId) -> None:
        """Forget the partner's pins. Its live connections end at their next request; `PeerServer.drop` ends them at once."""
        self._claims.pop(partner_id, None)
        self._pin_claims()
        self.known_addresses.forget(partner_id)

    def uncontested(self, certificates: Iterable[bytes]) -> tuple[bytes, ...]:
        """Returns those of `certificates` (DER) that at most one partner claims, and that are not our own."""
        return tuple(
            certificate
            for certificate in certificates
            if certificate not in self._own
            and sum(pin_of(certificate) in pins for pins in self._claims.values()) <= 1
        )

    def _pin_claims(self) -> None:
        """Pin what one partner alone claims; the next handshake builds a new context."""
        claimed = [(pin, partner_id) for partner_id, pins in self._claims.items() for pin in pins]
        times = Counter(pin for pin, _ in claimed)
        nobodys = {*map(pin_of, self._own), *self._guests, *self._invited}
        self._partners = {
            pin: partner_id for pin, partner_id in claimed if times[pin] == 1 and pin not in nobodys
        }
        self._newest = None

    def expect_from(self, partner_id: PartnerId, urls: Iterable[str]) -> None:
        """Know the partner at the numeric addresses among `urls` of its card, in place of those before, until it is removed."""
        if partner_id in self._partners.values():
            self.known_addresses.tell(partner_id, _numeric_hosts(urls))

    def note_reached(self, partner_id: PartnerId, host: str, now: float) -> None:
        """Note that the partner answered us at `host`, a numeric address; `now` is the event loop's clock."""
        if partner_id in self._partners.values():  # it may have been removed while we dialled
            self.known_addresses.note_admitted(partner_id, host, now)

    def partner_of(self, pin: Pin | None) -> PartnerId | None:
        """Returns the partner whose certificate has this pin; None for an unknown one."""
        return None if pin is None else self._partners.get(pin)

    def server_context(self) -> ssl.SSLContext:
        """Returns the context to listen with; it follows `add` and `remove` from one handshake to the next."""
        return self._front

    def client_context(self, certificates: Sequence[bytes]) -> ssl.SSLContext:
        """Returns a context that speaks only with the owner of `certificates` (DER). Raises PeerError `bad-certificate`."""
        for certificate in certificates:
            check_anchor(certificate)
        context = self._own_context(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=b"".join(certificates))
        return context

    def _swap_in_newest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Switch a connection to the newest context; OpenSSL calls this for every ClientHello, also without a server name."""
        if self._newest is None:
            self._newest = self._own_context(ssl.PROTOCOL_TLS_SERVER)
            partners = (self._claims[partner_id][pin] for pin, partner_id in self._partners.items())
            if anchors := b"".join((*partners, *self._guests.values(), *self._invited.values())):
                self._newest.load_verify_locations(cadata=anchors)
        connection.context = self._newest

    def _own_context(self, protocol: int) -> ssl.SSLContext:
        context = _strict_context(protocol)
        load_own_key(context, self._key.certificate, self._key.secret().reveal())
        return context


def guest_context(key: TlsKey, certificates: Sequence[bytes]) -> ssl.SSLContext:
    """Returns a context to come as a guest with, which shows the certificate of `key`. It speaks only with the owner of
    `certificates` (DER); without any with whoever answers, of whom nothing is then believed. Raises PeerError `bad-certificate`."""
    for certificate in certificates:
        check_anchor(certificate)
    context = _strict_context(ssl.PROTOCOL_TLS_CLIENT)
    if certificates:
        context.load_verify_locations(cadata=b"".join(certificates))
    else:
        context.verify_mode = ssl.CERT_NONE
    load_own_key(context, key.certificate, key.secret().reveal())
    return context


def _numeric_hosts(urls: Iterable[str]) -> list[str]:
    found = []
    for url in urls:
        with contextlib.suppress(ConfigError, ValueError):  # no address of ours, or a name
            host, _ = url_address(url)
            origin_of(host)
            found.append(host)
    return found


def check_anchor(certificate: bytes) -> None:
    """Require that `certificate` (DER) may be a trust anchor. Raises PeerError `bad-certificate`.

    OpenSSL reads it too, alone: a certificate that only OpenSSL cannot read would otherwise spoil the context that
    holds those of all partners.
    """
    check_leaf(certificate)  # whom it names was checked on the card
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        raise PeerError("a TLS certificate cannot be read", reason="bad-certificate") from None


def _strict_context(protocol: int) -> ssl.SSLContext:
    context = hardened_context(protocol)
    context.check_hostname = False  # the pin says who it is; a name would say less
    context.verify_mode = ssl.CERT_REQUIRED
    # Partial chain: a leaf (CA:FALSE) may itself be the anchor. Strict: RFC 5280 to the letter.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
