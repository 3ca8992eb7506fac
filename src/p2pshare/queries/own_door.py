"""What the doctor says of our own door: is the address free or ours, and where does the one on the card lead. It connects to no
partner: to the address we listen at, and to the one that our card tells partners.

Who connects here sends no byte of the protocol: the certificate that the other side shows says whether it is this node.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import ssl
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from p2pshare.config import Config, url_address
from p2pshare.queries.doctor_words import OK, Finding, fault

CONNECT_SECONDS_MAX = 3.0  # to an address of this machine, or through a router of the house
RESOLVE_SECONDS_MAX = (
    5.0  # a resolver that is silent must not hold up a look; what is not known by then is not known
)
ADDRESSES_SHOWN_MAX = 4
NOBODY = b""


@dataclass
class _Resolved:
    addresses: list[str] = field(default_factory=list)


def look_at_listener(
    config: Config, certificates: Collection[bytes], *, is_running: bool, held_ports: Collection[int] = ()
) -> Iterator[Finding]:
    """Yields what is wrong with the address that this node listens at; `certificates` are those on our card, `held_ports` those at which
    the service manager listens for the daemon: such a one is taken while no daemon runs, and right."""
    address = config.listen_address
    if address is None:
        yield Finding("listen", OK, "this node listens nowhere: it dials its partners")
        return
    host, port = address
    shown = _shown(host, port)
    is_held = not is_running and port in held_ports
    found = list(_answering(host, port, certificates) if is_running else () if is_held else _free(host, port))
    if config.url and _is_loopback(host) and not _leads_home(url_address(config.url)[0]):
        found.append(fault("loopback-only", address=shown, url=config.url, port=port))
    who = (
        "this node answers"
        if is_running
        else "the service manager listens for the daemon"
        if is_held
        else "nobody listens"
    )
    yield from found or [Finding("listen", OK, f"{who} at {shown}")]


def _answering(host: str, port: int, certificates: Collection[bytes]) -> Iterator[Finding]:
    certificate = certificate_at(_dialled(host), port)
    if certificate is None:
        yield fault("listen-silent", address=_shown(host, port))
    elif certificate not in certificates:
        yield fault("listen-other", address=_shown(host, port))


def _free(host: str, port: int) -> Iterator[Finding]:
    """Yields why the daemon could not listen there; nothing where it could."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        yield fault("no-such-address", address=_shown(host, port), port=port)
        return
    for family, kind, protocol, _, place in places:
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon does
            try:
                tried.bind(place)
                tried.listen(1)
            except OSError as error:
                name = {errno.EADDRINUSE: "port-taken", errno.EACCES: "port-forbidden"}.get(
                    error.errno or 0, "no-such-address"
                )
                yield fault(name, address=_shown(host, port), port=port)
                return


def look_at_url(
    url: str, on_card: Sequence[str], certificates: Collection[bytes], *, is_running: bool
) -> Iterator[Finding]:
    """Yields what is wrong with the address that our card tells partners, as seen from this machine."""
    told = on_card[0] if on_card else ""
    if not told:
        yield Finding("url", OK, "the card tells no address: partners do not dial this node")
        return
    if url and url not in on_card:
        yield fault("url-differs", card=told, url=url)
    host, port = url_address(told)
    addresses = _resolve(host)
    if not addresses:
        yield fault("url-unresolved", host=host)
        return
    words = {"host": host, "addresses": ", ".join(addresses[:ADDRESSES_SHOWN_MAX])}
    if any(_is_here(one) for one in addresses):
        yield Finding("url", OK, f"{host} leads to this machine")
        return
    certificate = certificate_at(addresses[0], port)
    if certificate in certificates:
        yield Finding("url", OK, f"{host} leads to this node")
    elif certificate is not None:
        yield fault("url-other", **words)
    else:
        yield fault("url-elsewhere", **words)


def certificate_at(host: str, port: int) -> bytes | None:
    """Returns the certificate that is shown there, NOBODY where what answers speaks no TLS, None where nobody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the exact certificate says who it is
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS_MAX) as plain:
            try:
                with context.wrap_socket(plain) as connection:
                    return connection.getpeercert(binary_form=True) or NOBODY
            except (ssl.SSLError, ConnectionError, TimeoutError):
                return NOBODY
    except OSError:
        return None


def _resolve(host: str) -> list[str]:
    """Returns the addresses of `host`, none where it has none or the resolver is silent."""
    resolved = _Resolved()

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            resolved.addresses = list(dict.fromkeys(str(place[4][0]) for place in places))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(RESOLVE_SECONDS_MAX)
    return resolved.addresses


def _is_here(address: str) -> bool:
    """Returns whether this machine has `address`: a socket may be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
        return True


def _leads_home(host: str) -> bool:
    """Returns whether partners are told an address that is this machine's own loopback: a trial on one machine."""
    addresses = _resolve(host)
    return bool(addresses) and all(_is_loopback(one) for one in addresses)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _dialled(host: str) -> str:
    """Returns the address to connect to for one that is listened at: every address means loopback as well."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 looked for, not bound


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
