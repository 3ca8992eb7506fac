"""What a daemon of a test runs before it begins, so that spaces are as quick as a test wants them."""

from __future__ import annotations

# The pauses of docs/spaces.md, a fiftieth as long: a daemon reads them from the module each time.
QUICK_SPACES = """
import p2pshare.spaces.travel as travel
for name in dir(travel):
    if name.endswith("_SECONDS") and name not in ("RESEND_SECONDS", "INVITE_SECONDS"):
        setattr(travel, name, getattr(travel, name) / 50)
# On a busy machine the first thing that is read after a start may put its author to rest for a minute.
import p2pshare.sharing.reading as reading
reading.REST_SECONDS_MAX = 0.5
"""
