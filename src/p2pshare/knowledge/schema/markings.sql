-- How markings are written, for the views: the words of intel/marking.py, which a test holds to these rows. Tables and no
-- view over VALUES: SQLite finds a row of theirs by its key, and would make such a view anew for each query.

CREATE TABLE tlp_label (
    level INTEGER PRIMARY KEY,
    label TEXT NOT NULL
);
INSERT INTO tlp_label VALUES
    (0, 'TLP:CLEAR'), (1, 'TLP:GREEN'), (2, 'TLP:AMBER'), (3, 'TLP:AMBER+STRICT'), (4, 'TLP:RED');

CREATE TABLE pap_label (
    level INTEGER PRIMARY KEY,
    label TEXT NOT NULL
);
INSERT INTO pap_label VALUES (0, 'PAP:CLEAR'), (1, 'PAP:GREEN'), (2, 'PAP:AMBER'), (3, 'PAP:RED');
