"""The step that puts who an envelope was for into one table loses nobody, and keeps what still waits."""

from __future__ import annotations

import sqlite3

from p2pshare.envelope.envelope import Mode
from p2pshare.service.storing import store_envelopes


def test_a_store_of_the_version_before_keeps_its_recipients_and_who_acknowledged(store_path, open_at, make):
    store = open_at()
    state = store.log.author_state(make.now)
    own = {"author": make.ourselves, "bearer": None, "incarnation": state.incarnation}
    to = (make.alpha, make.bravo)
    [waiting] = store_envelopes(store, [make.envelope(sequence=1, mode=Mode.DIRECT, audience=to, **own)])
    store.close()
    with sqlite3.connect(store_path) as old:  # as 0012 left it: two tables, and one of them marked
        old.execute("DROP INDEX envelope_recipient_by")
        old.execute("ALTER TABLE outbox ADD COLUMN is_acknowledged INTEGER NOT NULL DEFAULT 0")
        old.execute(
            "UPDATE outbox SET is_acknowledged = 1 WHERE recipient = (SELECT min(recipient) FROM outbox)"
        )
        old.execute("DELETE FROM envelope_recipient")
        for name in ("envelope_carried", "envelope_dropped"):
            old.execute(f"DROP TRIGGER {name}")
        old.execute("DROP TABLE carried")
        old.execute("DELETE FROM setting WHERE name = 'author_quota_bytes'")
        old.execute("PRAGMA user_version = 12")
    again = open_at()
    audience = again.log.audience(waiting.entry.envelope_id)
    assert set(audience) == set(to) and sorted(audience.values()) == [False, True]
    assert [len(again.log.outbox(one)) for one in to] == [not audience[one] for one in to]
