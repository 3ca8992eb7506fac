"""Refusals: sent instead of an answer, each for some errors of ours."""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.errors import DiskFull, ShareError


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """An answer that refuses a request: HTTP status, reason code, and the seconds of a Retry-After header if any."""

    status: int
    reason: str
    retry_after_seconds: float | None = None


class RequestRefused(ShareError):
    """The server itself refuses a request, before the service behind it is asked."""

    def __init__(self, refusal: HttpRefusal) -> None:
        super().__init__("a request was refused", reason=refusal.reason)
        self.refusal = refusal


BAD_REQUEST = 400
DISK_FULL = HttpRefusal(507, "disk-full", 60)
INTERNAL = HttpRefusal(500, "internal")
STOPPING = HttpRefusal(503, "stopping", 5)
NO_SUCH_ROUTE = HttpRefusal(404, "no-such-route")
TOO_SLOW = HttpRefusal(503, "deadline", 5)


def refusal_of(error: Exception) -> HttpRefusal:
    """Returns the refusal for `error`, for any service; `INTERNAL` for an error that was not raised on purpose.

    A service asks this last, after its own errors.
    """
    match error:
        case RequestRefused():
            return error.refusal
        case TimeoutError():
            return TOO_SLOW
        case DiskFull():
            return DISK_FULL
        case _:
            return INTERNAL
