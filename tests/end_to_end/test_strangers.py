"""Who is not a partner does not reach the HTTP parser (promise P10), and who stops being one is out (P12)."""

from __future__ import annotations

import datetime
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from p2pshare.envelope.card import believe_chain
from p2pshare.envelope.guest import knock_key
from p2pshare.node.init import found_home
from p2pshare.node.keyfile import read_identity
from p2pshare.peering.tls import guest_context

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

REQUEST = b"GET /v1/card HTTP/1.1\r\nHost: bravo\r\nConnection: close\r\n\r\n"
DAY = 86_400


class Pair:
    """bravo's running daemon, and the folder where an attacker keeps its files."""

    def __init__(self, alpha: Partner, bravo: Partner, folder: Path) -> None:
        self.alpha, self.bravo, self.folder = alpha, bravo, folder

    def ask(self, client: ssl.SSLContext | None) -> bytes:
        """Speaks TLS (or plain text) with bravo and asks for its card; what came back, b"" when refused."""
        client_socket = socket.create_connection(("127.0.0.1", self.bravo.port), timeout=10)
        try:
            with client_socket, wrapped(client_socket, client) as connection:
                connection.sendall(REQUEST)
                return read_all(connection)
        except (ssl.SSLError, ConnectionError):
            return b""

    def requests_seen(self) -> int:
        return int(self.bravo.status()["door"]["requests_seen"])


@contextmanager
def wrapped(plain: socket.socket, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    if context is None:
        yield plain
        return
    with context.wrap_socket(plain) as secured:
        yield secured


def read_all(connection: socket.socket) -> bytes:
    pieces = b""
    while piece := connection.recv(65_536):
        pieces += piece
    return pieces


@pytest.fixture(scope="module")
def pair(shared_company: Company) -> Pair:
    """alpha is linked but its daemon does not run, so that every connection at bravo is ours."""
    alpha, bravo = shared_company.linked("alpha", "bravo")
    bravo.start()
    return Pair(alpha, bravo, shared_company.folder)


def client_context(folder: Path, key: Any, chain: list[bytes], **versions: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that shows `chain` (DER) and believes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, version in versions.items():
        setattr(context, name, version)
    path = folder / "client.pem"
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path.write_text(pem + "".join(map(ssl.DER_cert_to_PEM_cert, chain)))
    context.load_cert_chain(path)
    return context


def tls_of(home: Path) -> tuple[Any, bytes]:
    """A partner's real TLS key and certificate, from its home folder."""
    identity = read_identity(home / "identity.p2pkey", home / "card.p2pcard")
    tls = identity.operational.tls
    return load_der_private_key(tls.secret().reveal(), None), tls.certificate


def certificate(
    key: Any, *, issuer_key: Any = None, issuer: x509.Name | None = None, is_ca: bool = False
) -> bytes:
    """A certificate for `key`, signed by itself or by `issuer_key`."""
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    return builder.sign(issuer_key or key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)


def test_a_partner_itself_is_let_in(pair: Pair) -> None:
    before = pair.requests_seen()
    key, own = tls_of(pair.alpha.home)
    answer = pair.ask(client_context(pair.folder, key, [own]))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert pair.requests_seen() == before + 1


def unknown(pair: Pair) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP384R1())
    return client_context(pair.folder, key, [certificate(key)])


def without_certificate(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def minted(pair: Pair) -> ssl.SSLContext:
    """A second identity, signed with a pinned partner's key, shown with that partner's certificate behind it."""
    alpha_key, alpha_certificate = tls_of(pair.alpha.home)
    key = ec.generate_private_key(ec.SECP384R1())
    issuer = x509.load_der_x509_certificate(alpha_certificate).subject
    minted_certificate = certificate(key, issuer_key=alpha_key, issuer=issuer)
    return client_context(pair.folder, key, [minted_certificate, alpha_certificate])


def copied_key_as_ca(pair: Pair) -> ssl.SSLContext:
    """The pinned partner's own key in another certificate that says CA:TRUE."""
    key, _ = tls_of(pair.alpha.home)
    return client_context(pair.folder, key, [certificate(key, is_ca=True)])


def old_tls(pair: Pair) -> ssl.SSLContext:
    key, own = tls_of(pair.alpha.home)
    return client_context(pair.folder, key, [own], maximum_version=ssl.TLSVersion.TLSv1_2)


def plain_text(pair: Pair) -> None:
    return None


@pytest.mark.parametrize(
    "attack",
    [unknown, without_certificate, minted, copied_key_as_ca, old_tls, plain_text],
    ids=lambda one: one.__name__,
)
def test_strangers_are_refused_with_zero_requests_seen(pair: Pair, attack: Any) -> None:
    before = pair.requests_seen()
    assert pair.ask(attack(pair)) == b""
    assert pair.requests_seen() == before


def test_a_partner_whose_tls_certificate_expired_is_refused_with_zero_requests_seen(company: Company) -> None:
    bravo = company.found("bravo")
    old = company.folder / "old"
    long_ago = int(time.time()) - 120 * DAY
    found_home(old, name="OLD", url="https://127.0.0.1:9", listen="", passphrase=None, now=long_ago)
    bravo.trust_home(old, "old")
    bravo.start()
    key, own = tls_of(old)
    pair = Pair(bravo, bravo, company.folder)
    assert pair.ask(client_context(company.folder, key, [own])) == b""
    assert pair.requests_seen() == 0


def test_a_removed_partner_is_out_within_one_request(company: Company) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    bravo.start()
    key, own = tls_of(alpha.home)
    context = client_context(company.folder, key, [own])
    keep_alive = REQUEST.replace(b"close", b"keep-alive")
    with (
        socket.create_connection(("127.0.0.1", bravo.port), timeout=10) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(keep_alive)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        bravo.cli("partner", "remove", "alpha")
        try:
            connection.sendall(keep_alive)
            answer = read_all(connection)
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert b"HTTP/1.1 200 " not in answer[len(answer) - 64 :]
    seen = bravo.status()["door"]["requests_seen"]
    assert Pair(alpha, bravo, company.folder).ask(context) == b""
    assert bravo.status()["door"]["requests_seen"] == seen


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="skipped: all of 127/8 is loopback on Linux alone"
)
def test_whoever_holds_the_card_is_a_guest_and_a_flood_of_guests_stops_no_partner(
    company: Company, eventually: Any
) -> None:
    """Real daemons. The guests speak HTTP, say garbage, begin 4 MiB, say nothing, hand over what is no card."""
    alpha, bravo = company.pair()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    card = (bravo.home / "card.p2pcard").read_bytes()
    context = guest_context(knock_key(card), believe_chain(card).tls_certificates)
    said = [
        REQUEST,
        b"\xff" * 100,
        (4 << 20).to_bytes(4, "big") + b"\x92\x02" + bytes(100_000),
        b"",
        b"\x00\x00\x00\x05\x92\x02\xc4\x01x",
        b"\x00\x00\x00\x02\x91\x03",
    ]
    came = []
    guests: list[socket.socket] = []
    for number in range(120):
        plain = socket.create_connection(
            ("127.0.0.1", bravo.port), timeout=10, source_address=(f"127.0.9.{number % 12 + 1}", 0)
        )
        with suppress(OSError):
            guests.append(context.wrap_socket(plain))
            guests[-1].sendall(said[number % len(said)])
            came.append(guests[-1].recv(65_536)[:7])
        if number == 60:
            alpha.publish("in-the-flood.example\n")
    bravo.wait_for("in-the-flood.example")
    bravo.publish("back.example\n")
    alpha.wait_for("back.example")
    greeting = b"\x00\x00\x00\x25\x93\x01\xc4"
    assert set(came) <= {greeting, b""} and 1 <= came.count(greeting) <= 60
    for guest in guests:
        guest.close()
    counted = bravo.status()["door"]["guests"]
    assert counted["too-many"] >= 60
    assert {"oversized", "card-given", "malformed"} <= counted.keys()
    assert sum(counted.values()) - counted["too-many"] - counted.get("too-many-of-address", 0) <= 60
    assert "card-taken" not in counted
    assert bravo.status()["refused"]["guest-too-many"] == counted["too-many"]


def test_a_removed_partner_gets_nothing_more_and_its_envelopes_are_refused(
    company: Company, eventually: Any
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    alpha.start()
    bravo.start()
    alpha.publish("before-removal.example\n")
    bravo.wait_for("before-removal.example")
    bravo.cli("partner", "remove", "alpha")
    alpha.publish("after-removal.example\n")
    bravo.publish("bravo-after-removal.example\n", code=5)
    eventually(lambda: alpha.status()["partners"][0]["state"] != "connected", "alpha notices")
    assert "after-removal.example" not in bravo.values()
    assert "before-removal.example" in bravo.values(), "what it wrote stays"
