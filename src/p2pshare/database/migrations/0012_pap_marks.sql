-- 0011 left the PAP out: whatever changes what a claim says marks its observable.

DROP TRIGGER claim_changed;
CREATE TRIGGER claim_changed AFTER UPDATE OF status, tlp, pap ON claim
WHEN NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.observable = new.observable) BEGIN
    INSERT INTO unsettled VALUES (new.observable);
END;
