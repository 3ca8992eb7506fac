-- Marking an observable twice in one transaction is no conflict. A trigger's OR IGNORE is overruled by the ON CONFLICT
-- clause of the statement that fires it (https://sqlite.org/lang_createtrigger.html), so the triggers ask first.
DROP TRIGGER claim_changed;
DROP TRIGGER quarantine_added;
DROP TRIGGER quarantine_lifted;
DROP TRIGGER withdrawal_added;
DROP TRIGGER withdrawal_changed;

CREATE TRIGGER claim_changed AFTER UPDATE OF status, tlp ON claim
WHEN NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = new.observable) BEGIN
    INSERT INTO unsettled VALUES (new.observable);
END;
CREATE TRIGGER quarantine_added AFTER INSERT ON quarantine
WHEN NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = new.observable) BEGIN
    INSERT INTO unsettled VALUES (new.observable);
END;
CREATE TRIGGER quarantine_lifted AFTER DELETE ON quarantine
WHEN NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = old.observable) BEGIN
    INSERT INTO unsettled VALUES (old.observable);
END;
CREATE TRIGGER withdrawal_added AFTER INSERT ON withdrawal BEGIN
    INSERT INTO unsettled
    SELECT DISTINCT c.observable FROM claim c
    WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2
    AND NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = c.observable);
END;
CREATE TRIGGER withdrawal_changed AFTER UPDATE ON withdrawal BEGIN
    INSERT INTO unsettled
    SELECT DISTINCT c.observable FROM claim c
    WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2
    AND NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = c.observable);
END;
