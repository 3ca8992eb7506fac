-- Detection rules among the objects that give no claims, read out of their frames after they were stored (knowledge/published_rules.py).
-- Whether one counts says the row of its object. text: NULL where it would take too much room beside the envelope that brought it.
-- rule_author, licence: as the object says; techniques: a JSON array.
CREATE TABLE published_rule (
    object INTEGER PRIMARY KEY REFERENCES object (id),
    language TEXT NOT NULL,
    title TEXT,
    rule_author TEXT,
    licence TEXT,
    digest BLOB NOT NULL,
    level TEXT,
    techniques TEXT NOT NULL,
    text TEXT
);
