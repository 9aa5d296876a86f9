-- Why candidates have no score, where it is more than that it is not finite: a panic, a time limit, a lack of memory. What depends on
-- chance is in a table of its own, which no hash covers.

CREATE TABLE faults (
    run_id    INTEGER NOT NULL,
    slice     INTEGER NOT NULL,
    candidate INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    PRIMARY KEY (run_id, slice, candidate),
    FOREIGN KEY (run_id, slice, candidate) REFERENCES scores (run_id, slice, candidate)
) STRICT, WITHOUT ROWID;

-- The batch that a run began to score last, and how many processes began it: more than one if it ended the process.
CREATE TABLE attempts (
    run_id     INTEGER PRIMARY KEY REFERENCES runs (id),
    generation INTEGER NOT NULL,
    stage      INTEGER NOT NULL,
    times      INTEGER NOT NULL
) STRICT;
