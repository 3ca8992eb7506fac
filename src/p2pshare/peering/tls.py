"""Admission by TLS: pinned certificates, and the TLS contexts built from them.

The rules of this file:

1. TLS 1.3 and nothing else; both sides show a certificate; no tickets (a ticket outlives a removed pin): `http_server.tls`.
2. A partner's exact certificates are the only trust anchors. The anchor must be CA:FALSE: with CA:TRUE its
   owner could mint a second identity that passes the handshake.
3. The handshake is not the last word: `partner_of` compares the exact DER bytes, when a connection is made
   and again at each request. That is also how a removed partner is out within one request.
4. A certificate belongs to one partner. A second partner that puts it on its own card is refused, or its
   owner's requests would count as the other's.
5. A client context trusts the certificates of one partner, so that no other server is ever shown ours.
6. An address lets nobody in. It only finds a place at a crowded door: the numeric ones of partners' cards, and those at
   which a pinned certificate was shown. Names are not resolved for it, so nothing waits and no name server is believed.
7. The private key goes into OpenSSL through an anonymous memory file, never through the disk: `http_server.tls`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Sequence

from p2pshare.config import url_address
from p2pshare.envelope.certificate import check_certificate
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
        self._partners: dict[Pin, PartnerId] = {}
        self._certificates: dict[Pin, bytes] = {}
        self._newest: ssl.SSLContext | None = None
        self._front = self._own_context(ssl.PROTOCOL_TLS_SERVER)
        self._front.sni_callback = self._swap_in_newest

    def add(self, partner_id: PartnerId, certificates: Sequence[bytes]) -> None:
        """Pin `certificates` (DER; two while rotating) for `partner_id`, in place of those it had.

        The next handshake sees it. Raises PeerError `bad-certificate` or `certificate-of-another`; the
        table is then unchanged.
        """
        if not 1 <= len(certificates) <= CARD_TLS_CERTIFICATES_MAX:
            raise PeerError("a partner has one or two TLS certificates", reason="bad-certificate")
        pins = {pin_of(certificate): certificate for certificate in certificates}
        for pin, certificate in pins.items():
            check_anchor(certificate)
            if self._partners.get(pin, partner_id) != partner_id or certificate == self._key.certificate:
                raise PeerError(
                    "a TLS certificate is already pinned for another partner", reason="certificate-of-another"
                )
        self._unpin(partner_id)  # and the next handshake builds a new context
        self._partners |= dict.fromkeys(pins, partner_id)
        self._certificates |= pins

    def remove(self, partner_id: PartnerId) -> None:
        """Forget the partner's pins. Its live connections end at their next request; `PeerServer.drop` ends them at once."""
        self._unpin(partner_id)
        self.known_addresses.forget(partner_id)

    def _unpin(self, partner_id: PartnerId) -> None:
        for pin in [pin for pin, owner in self._partners.items() if owner == partner_id]:
            del self._partners[pin], self._certificates[pin]
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
            if self._certificates:
                self._newest.load_verify_locations(cadata=b"".join(self._certificates.values()))
        connection.context = self._newest

    def _own_context(self, protocol: int) -> ssl.SSLContext:
        context = _strict_context(protocol)
        load_own_key(context, self._key.certificate, self._key.secret().reveal())
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
    check_certificate(certificate)
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
