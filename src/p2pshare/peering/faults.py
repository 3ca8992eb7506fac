"""Faults between two partners, and their form on the wire.

A refusal is a status and a tiny body, msgpack `{"reason": code}`, and nothing more: a partner that probes
learns neither our versions nor whether something is held but not for it.
"""

from __future__ import annotations

import re
import ssl

import msgpack

from p2pshare.errors import NotFoundError, PeerError, RefusedError
from p2pshare.http_server.refusals import BAD_REQUEST, HttpRefusal, refusal_of
from p2pshare.limits import REASON_BYTES_MAX, RETRY_AFTER_SECONDS_MAX

REASON_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
UNSPECIFIED = "unspecified"
CERTIFICATE_REFUSED = "certificate-refused"
OTHER_CERTIFICATE = "other-certificate"
UNKNOWN_CA_ALERT = "TLSV1_ALERT_UNKNOWN_CA"  # OpenSSL's word for alert 48 of RFC 8446 section 6


class PeerUnreachable(PeerError):
    """No answer came (`unreachable`, `timeout`, `tls`, `cut-off`), the partner cannot give one (`stopping`, `deadline`), its server
    does not accept our certificate (`certificate-refused`), or shows another one than its card names (`other-certificate`)."""

    reason = "unreachable"


def is_unknown_ca_alert(error: BaseException | None) -> bool:
    """Returns whether the other side of a TLS connection has said that it does not know our certificate."""
    return isinstance(error, ssl.SSLError) and error.reason == UNKNOWN_CA_ALERT


class PeerFull(PeerUnreachable):
    """The partner's disk is full; nothing of the request was kept."""

    reason = "disk-full"


class PeerBusy(PeerError):
    """The partner asks for a pause of `retry_after_seconds`; neither side erred.

    Raised by our client, and by an exchange that is full.
    """

    reason = "busy"

    def __init__(self, retry_after_seconds: float, *, reason: str = "busy") -> None:
        super().__init__("the partner asks for a pause", reason=reason)
        self.retry_after_seconds = retry_after_seconds


class PeerRefused(PeerError):
    """The partner refused the request, with a status and a reason code."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the partner refused with status {status}", reason=reason)
        self.status = status


NOT_HELD = HttpRefusal(404, "not-held")  # the same for what is not there and for what is not for this peer
STATUS_OF_REASON = {"clock-skew": 409}


def answer_to(error: Exception) -> HttpRefusal:
    """Returns the refusal that a peer gets for `error`."""
    match error:
        case PeerBusy():
            return HttpRefusal(429, error.reason, error.retry_after_seconds)
        case NotFoundError() | RefusedError():
            return NOT_HELD
        case PeerError():
            return HttpRefusal(STATUS_OF_REASON.get(error.reason, BAD_REQUEST), error.reason)
        case _:
            return refusal_of(error)


def encode_refusal(refusal: HttpRefusal) -> bytes:
    """Returns the body of a refusal, msgpack."""
    return bytes(msgpack.packb({"reason": refusal.reason}))


def decode_reason(raw: bytes) -> str:
    """Returns the reason code in a refusal's body; `unspecified` for anything that is none."""
    try:
        body = msgpack.unpackb(
            raw, max_map_len=1, max_array_len=0, max_bin_len=0, max_ext_len=0, max_str_len=REASON_BYTES_MAX
        )
    except (ValueError, msgpack.UnpackException, msgpack.exceptions.StackError):
        return UNSPECIFIED
    reason = body.get("reason") if type(body) is dict else None
    return reason if type(reason) is str and REASON_PATTERN.fullmatch(reason) else UNSPECIFIED


def answered_fault(status: int, raw: bytes, retry_after: str | None) -> PeerError:
    """Returns the error that a client raises for an answer with another status than 200."""
    reason = decode_reason(raw)
    match status:
        case 429:
            return PeerBusy(_pause_seconds(retry_after), reason=reason)
        case 507:
            return PeerFull("the partner's disk is full", reason=reason)
        case 503:
            return PeerUnreachable("the partner cannot take requests now", reason=reason)
        case _:
            return PeerRefused(status, reason)


def _pause_seconds(retry_after: str | None) -> float:
    """Returns the seconds of a Retry-After header (RFC 9110 section 10.2.3), 1.0 for any other form.

    Bounded, so that a false one cannot silence us.
    """
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit() or len(retry_after) > 6:
        return 1.0
    return float(min(max(int(retry_after), 1), RETRY_AFTER_SECONDS_MAX))
