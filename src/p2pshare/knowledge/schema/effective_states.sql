-- What each observable counts for now, the change feed, and quarantine (docs/store.md, "Effective state" and "Quarantine";
-- docs/decisions/0037).

-- siem_tlp_max: the strictest marking the views show. last_change: the highest seq ever given. evaluated_at: the time of
-- the latest evaluation.
INSERT INTO setting VALUES ('siem_tlp_max', 3), ('last_change', 0), ('evaluated_at', 0);

-- One row an observable, from all its claims that the SIEM may see. Score, status and feed position change in one
-- statement. `seq` is its place in the change feed, NULL while it never was active; `op`: 1 add, 2 update, 3 remove.
-- `status`: 0 active, 1 pending, 2 expired, 3 replaced, 4 delisted, 5 no claim that may be shown.
-- The row holds from `at` until before `due` (unix seconds; NULL: for ever).
CREATE TABLE effective_state (
    observable INTEGER PRIMARY KEY,
    seq INTEGER,
    op INTEGER,
    status INTEGER NOT NULL,
    reason TEXT,
    score INTEGER,
    confidence INTEGER,
    tlp INTEGER,
    pap INTEGER,
    first_seen INTEGER,
    last_seen INTEGER,
    valid_from INTEGER,
    valid_until INTEGER,
    authors INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    at INTEGER NOT NULL,
    due INTEGER,
    sighted_at INTEGER
);
CREATE UNIQUE INDEX effective_state_seq ON effective_state (seq) WHERE seq IS NOT NULL;
CREATE INDEX effective_state_due ON effective_state (due) WHERE due IS NOT NULL;

-- Observables of which something changed in the transaction that is under way; its end evaluates them. Whatever changes a
-- claim, a withdrawal or a quarantine need not know of effective states: triggers on those tables mark the observable.
--
-- Marking an observable twice in one transaction is no conflict. A trigger's OR IGNORE is overruled by the ON CONFLICT
-- clause of the statement that fires it (https://sqlite.org/lang_createtrigger.html), so the triggers ask first.
CREATE TABLE dirty (
    observable INTEGER PRIMARY KEY
);

-- Why an observable may not be acted upon here, whoever claims it: one row a source ('warning-list', 'allow-list',
-- 'false-positive'). It is quarantined while it has a row; its claims stay as they are.
CREATE TABLE quarantine (
    observable INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (observable, source)
) WITHOUT ROWID;

CREATE TRIGGER quarantine_added AFTER INSERT ON quarantine
WHEN NOT EXISTS (SELECT 1 FROM dirty u WHERE u.observable = new.observable) BEGIN
    INSERT INTO dirty VALUES (new.observable);
END;
CREATE TRIGGER quarantine_lifted AFTER DELETE ON quarantine
WHEN NOT EXISTS (SELECT 1 FROM dirty u WHERE u.observable = old.observable) BEGIN
    INSERT INTO dirty VALUES (old.observable);
END;
