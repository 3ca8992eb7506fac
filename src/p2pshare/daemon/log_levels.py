"""How much is logged: the section `[log]` of the config, whose level the command line may replace. Rooms have levels of their own.

Lines are of ids, sizes and reason codes at every level: more of them say more often, and never what partners share. Libraries say
warnings at most, for nobody here knows what stands in their other lines.
"""

from __future__ import annotations

import logging

from p2pshare.config import LOGGED_ROOMS, LogConfig, room_level

ALL_ROOMS = "p2pshare"


def apply_levels(config: LogConfig, instead: str | None = None) -> None:
    """Log as `config` says from now on; `instead` is the level of the command line, which stands until the process ends."""
    level = (instead or config.level).upper()
    logging.getLogger().setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger(ALL_ROOMS).setLevel(level)
    own = dict(map(room_level, config.rooms))
    for room in LOGGED_ROOMS:
        logging.getLogger(f"{ALL_ROOMS}.{room}").setLevel(own.get(room, "notset").upper())
