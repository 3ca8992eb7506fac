"""Walks over everything that one change has made stale: evaluated anew a step at a time, other writers in between.

A roster that changes, a setting, or a clock that is set back may concern every value that is held, and how many those are
is up to partners. So the change itself is one small transaction that begins a walk at its first step, and each later step
is a transaction of its own. Rules:

1. The place of a walk is a setting, changed in the transaction of its step: a crash loses nothing, the next life goes on.
2. The same change again, while a walk is under way, begins it anew.
3. What arrives meanwhile is evaluated under the new roster and settings already.
4. What stems from an object that changed is such a walk, too (`derivations`), but begun by a partner's bytes: so at most
   ORIGINS_ROWS are looked at in ORIGINS_SECONDS, however often it changes.
5. Until the walk over markings has ended nobody takes the table of effective states for the answer (`state_queries`), and the
   views show none of its rows that is stricter than the SIEM may see: a limit that was tightened holds at once.
"""

from __future__ import annotations

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.knowledge import assessments, derivations
from p2pshare.knowledge.state_table import EVALUATED_AT, evaluated_at

STEP_OBSERVABLES = 2_000  # evaluated in one step: some 100 ms that other writers wait
REPORTS_PLACE = Setting("reports_walk", int)
"""The observable behind which false positives are still to be counted; ENDED when none is."""
VOICES_PLACE = Setting("voices_walk", int)
"""The observable behind which those that several authors claim are still to be evaluated; ENDED when none is."""
MARKINGS_PLACE = Setting("markings_walk", int)
"""The observable behind which those with a claim above MARKINGS_ABOVE are still to be evaluated; ENDED when none is."""
MARKINGS_ABOVE = Setting("markings_walk_above", int)
AHEAD_PLACE = Setting("ahead_walk", int)
"""The observable behind which those that were evaluated ahead of the clock are still to be found; ENDED when none is."""
AHEAD_SECONDS_MIN = 60  # less is no clock that was set back: a call's time is that of when it was asked for
ORIGINS_ROWS = 100_000  # looked at for what changed with its origin: three seconds' work in ...
ORIGINS_SECONDS = 60  # ... a minute; an object from which 100,000 others stem falls within two
ORIGINS_BEGUN = Setting("origins_begun", int)
"""When the rows that ORIGINS_LOOKED_AT counts began to be counted, unix seconds."""
ORIGINS_LOOKED_AT = Setting("origins_looked_at", int)
ENDED = -1


def begin_reports(connection: apsw.Connection) -> None:
    """Count all false positives anew: how many are needed, or who counts, has changed."""
    put_setting(connection, REPORTS_PLACE, 0)
    _count_reports(connection, 0)


def begin_voices(connection: apsw.Connection) -> None:
    """Evaluate anew what several authors claim: who of them is one voice has changed."""
    put_setting(connection, VOICES_PLACE, 0)
    _mark_shared(connection, 0)


def begin_markings(connection: apsw.Connection, above: int) -> None:
    """Evaluate anew what has a claim stricter than `above`: whether those are shown has changed."""
    if is_over_markings(connection):
        above = min(above, get_setting(connection, MARKINGS_ABOVE) or 0)
    put_setting(connection, MARKINGS_ABOVE, above)
    put_setting(connection, MARKINGS_PLACE, 0)
    _mark_stricter(connection, 0)


def begin_ahead(connection: apsw.Connection, now: int) -> None:
    """Evaluate anew what was evaluated at a time that has not come yet, if the clock was set back to `now` (unix seconds)."""
    if now + AHEAD_SECONDS_MIN < evaluated_at(connection):
        put_setting(connection, EVALUATED_AT, now)
        put_setting(connection, AHEAD_PLACE, 0)
        _mark_ahead(connection, 0, now)


def go_on(connection: apsw.Connection, now: int) -> bool:
    """Take a step of a walk that is under way, at `now` (unix seconds); returns whether there was one."""
    place = _under_way(connection)
    if place is None:
        if assessments.is_recounting(connection):
            assessments.recount_on(connection)
            return True
        return _go_on_with_origins(connection, now)
    after = get_setting(connection, place) or 0
    if place is MARKINGS_PLACE:
        _mark_stricter(connection, after)
    elif place is REPORTS_PLACE:
        _count_reports(connection, after)
    elif place is VOICES_PLACE:
        _mark_shared(connection, after)
    else:
        _mark_ahead(connection, after, now)
    return True


def is_under_way(connection: apsw.Connection) -> bool:
    """Returns whether a walk has not ended."""
    return (
        _under_way(connection) is not None
        or assessments.is_recounting(connection)
        or derivations.is_waiting(connection)
    )


def _go_on_with_origins(connection: apsw.Connection, now: int) -> bool:
    """Rule 4."""
    if not derivations.is_waiting(connection):
        return False
    begun, looked_at = (
        get_setting(connection, ORIGINS_BEGUN) or 0,
        get_setting(connection, ORIGINS_LOOKED_AT) or 0,
    )
    if not begun <= now < begun + ORIGINS_SECONDS:
        put_setting(connection, ORIGINS_BEGUN, now)
        looked_at = 0
    elif looked_at >= ORIGINS_ROWS:
        return False
    put_setting(connection, ORIGINS_LOOKED_AT, looked_at + derivations.step(connection))
    return True


def _under_way(connection: apsw.Connection) -> Setting[int] | None:
    for place in (MARKINGS_PLACE, REPORTS_PLACE, VOICES_PLACE, AHEAD_PLACE):
        if get_setting(connection, place) not in (None, ENDED):
            return place
    return None


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


def _mark_shared(connection: apsw.Connection, after: int) -> None:
    ids = _ids(connection, "SELECT id FROM observable WHERE id > ? ORDER BY id LIMIT ?", after)
    if ids:
        connection.execute(
            """INSERT OR IGNORE INTO dirty SELECT observable FROM claim
            WHERE observable BETWEEN ? AND ? AND +status < 2
            GROUP BY observable HAVING min(author) < max(author)""",
            (ids[0], ids[-1]),
        )
    _put_place(connection, VOICES_PLACE, ids)


def _mark_ahead(connection: apsw.Connection, after: int, now: int) -> None:
    ids = _ids(
        connection,
        "SELECT observable FROM effective_state WHERE observable > ? ORDER BY observable LIMIT ?",
        after,
    )
    if ids:
        connection.execute(
            """INSERT OR IGNORE INTO dirty SELECT observable FROM effective_state
            WHERE observable BETWEEN ? AND ? AND at > ?""",
            (ids[0], ids[-1], now),
        )
    _put_place(connection, AHEAD_PLACE, ids)


def _ids(connection: apsw.Connection, statement: str, after: int) -> list[int]:
    return [row_id for (row_id,) in fetch(connection, statement, (after, STEP_OBSERVABLES))]


def _put_place(connection: apsw.Connection, place: Setting[int], ids: list[int]) -> None:
    put_setting(connection, place, ids[-1] if len(ids) == STEP_OBSERVABLES else ENDED)
