-- Small integers for the words that repeat among claims and objects; never deleted.

-- `count`: observables of the type, so that nobody has to count millions of rows. `ages_seconds`: how many seconds after
-- its start a claim about such a value is over (intel.decay; written when the store is opened).
CREATE TABLE observable_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    count INTEGER NOT NULL DEFAULT 0,
    ages_seconds INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE object_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Sets of labels, each as a JSON array.
CREATE TABLE label_set (
    id INTEGER PRIMARY KEY,
    labels TEXT NOT NULL UNIQUE
);
