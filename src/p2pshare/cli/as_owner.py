"""Root works on a home as the user whose it is: what that user may do is what the daemon may do, no file that root made stands in the
daemon's way, and who owns the folder leads root nowhere by a link that it puts there meanwhile."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner(home: Path) -> Iterator[None]:
    """Let root be the user whose `home` is, for as long as that takes. A home that is not there is nobody's."""
    if not home.exists():
        yield
        return
    owner = home.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    try:
        name = pwd.getpwuid(owner.st_uid).pw_name
        os.setgroups(os.getgrouplist(name, owner.st_gid))
    except KeyError:
        os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
