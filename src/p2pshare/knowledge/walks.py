"""Walks over everything that one change has made stale: evaluated anew a step at a time, other writers in between.

A roster that changes, or a setting, may concern every value that is held, and how many those are is up to partners. So
the change itself is one small transaction that begins a walk at its first step, and each later step is a transaction of its
own. Rules:

1. The place of a walk is a setting, changed in the transaction of its step: a crash loses nothing, the next life goes on.
2. The same change again, while a walk is under way, begins it anew.
3. What arrives meanwhile is evaluated under the new roster and settings already.
4. Until the walk over markings has ended nobody takes the table of effective states for the answer (`state_queries`), and the
   views show none of its rows that is stricter than the SIEM may see: a limit that was tightened holds at once.
"""

from __future__ import annotations

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.knowledge import assessments

STEP_OBSERVABLES = 2_000  # evaluated in one step: some 100 ms that other writers wait
REPORTS_PLACE = Setting("reports_walk", int)
"""The observable behind which false positives are still to be counted; ENDED when none is."""
MARKINGS_PLACE = Setting("markings_walk", int)
"""The observable behind which those with a claim above MARKINGS_ABOVE are still to be evaluated; ENDED when none is."""
MARKINGS_ABOVE = Setting("markings_walk_above", int)
ENDED = -1


def begin_reports(connection: apsw.Connection) -> None:
    """Count all false positives anew: how many are needed, or who counts, has changed."""
    put_setting(connection, REPORTS_PLACE, 0)
    _count_reports(connection, 0)


def begin_markings(connection: apsw.Connection, above: int) -> None:
    """Evaluate anew what has a claim stricter than `above`: whether those are shown has changed."""
    if is_over_markings(connection):
        above = min(above, get_setting(connection, MARKINGS_ABOVE) or 0)
    put_setting(connection, MARKINGS_ABOVE, above)
    put_setting(connection, MARKINGS_PLACE, 0)
    _mark_stricter(connection, 0)


def go_on(connection: apsw.Connection) -> bool:
    """Take a step of a walk that is under way; returns whether there was one."""
    for place, step in ((MARKINGS_PLACE, _mark_stricter), (REPORTS_PLACE, _count_reports)):
        after = get_setting(connection, place)
        if after is not None and after != ENDED:
            step(connection, after)
            return True
    return False


def is_under_way(connection: apsw.Connection) -> bool:
    """Returns whether a walk has not ended."""
    return any(
        get_setting(connection, place) not in (None, ENDED) for place in (MARKINGS_PLACE, REPORTS_PLACE)
    )


def is_over_markings(connection: apsw.Connection) -> bool:
    """Returns whether a walk over markings is under way."""
    return get_setting(connection, MARKINGS_PLACE) not in (None, ENDED)


def _count_reports(connection: apsw.Connection, after: int) -> None:
    ids = _ids(
        connection,
        """SELECT DISTINCT observable FROM sighting WHERE is_false_positive = 1 AND observable > ?
        ORDER BY observable LIMIT ?""",
        after,
    )
    assessments.recount(connection, ids)
    _put_place(connection, REPORTS_PLACE, ids)


def _mark_stricter(connection: apsw.Connection, after: int) -> None:
    ids = _ids(connection, "SELECT id FROM observable WHERE id > ? ORDER BY id LIMIT ?", after)
    if ids:
        connection.execute(
            """INSERT OR IGNORE INTO dirty SELECT observable FROM claim
            WHERE observable BETWEEN ? AND ? AND tlp > ? AND +status < 2""",
            (ids[0], ids[-1], get_setting(connection, MARKINGS_ABOVE)),
        )
    _put_place(connection, MARKINGS_PLACE, ids)


def _ids(connection: apsw.Connection, statement: str, after: int) -> list[int]:
    return [row_id for (row_id,) in fetch(connection, statement, (after, STEP_OBSERVABLES))]


def _put_place(connection: apsw.Connection, place: Setting[int], ids: list[int]) -> None:
    put_setting(connection, place, ids[-1] if len(ids) == STEP_OBSERVABLES else ENDED)
