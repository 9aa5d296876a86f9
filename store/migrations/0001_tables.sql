-- The record of searches. Every table but runs is keyed by run_id first, so that one run's rows lie together.
-- Floats that were not measured are NULL. Times are UTC, ISO 8601.

PRAGMA application_id = 0x66696e63; -- "finc": tells a finch database from any other SQLite file

-- One execution of one experiment with one seed.
CREATE TABLE runs (
    id               INTEGER PRIMARY KEY,
    experiment       TEXT    NOT NULL,
    method           TEXT    NOT NULL,
    seed             INTEGER NOT NULL,
    config           TEXT    NOT NULL CHECK (json_valid(config)), -- canonical JSON
    config_hash      TEXT    NOT NULL,
    model            TEXT    NOT NULL,
    model_hash       TEXT    NOT NULL,
    calibration_hash TEXT    NOT NULL,
    evaluation_hash  TEXT    NOT NULL,
    target           TEXT    NOT NULL,           -- the file that bytes are counted in: gguf, safetensors, packed
    budget           TEXT    NOT NULL,
    limit_bytes      INTEGER CHECK (limit_bytes > 0), -- NULL: the budget is not in bytes
    kernel_path      TEXT    NOT NULL,
    version          TEXT    NOT NULL,           -- of the finch that began the run
    status           TEXT    NOT NULL CHECK (status IN ('running', 'interrupted', 'finished', 'failed')),
    error            TEXT    NOT NULL DEFAULT '',
    created_at       TEXT    NOT NULL,
    finished_at      TEXT,
    seconds          REAL    NOT NULL DEFAULT 0, -- of all sessions that ended in order
    superseded       INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),
    seal             TEXT    NOT NULL DEFAULT '' -- finished runs: hash over the last chain and the results
) STRICT;

CREATE UNIQUE INDEX runs_live ON runs (experiment, seed) WHERE superseded = 0;

-- The places with a choice of levels, in genome order.
CREATE TABLE sites (
    run_id   INTEGER NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL CHECK (position >= 0),
    name     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    block    INTEGER NOT NULL, -- -1 outside the transformer blocks
    weights  INTEGER NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- The choices at each site.
CREATE TABLE levels (
    run_id          INTEGER NOT NULL,
    site            INTEGER NOT NULL,
    idx             INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 255), -- two hex digits of the genome
    name            TEXT    NOT NULL,
    format          TEXT    NOT NULL,
    bytes           INTEGER NOT NULL,
    bits_per_weight REAL    NOT NULL,
    nonzeros        INTEGER NOT NULL,
    relative_error  REAL,
    PRIMARY KEY (run_id, site, idx),
    FOREIGN KEY (run_id, site) REFERENCES sites (run_id, position)
) STRICT, WITHOUT ROWID;

-- Every candidate ever proposed to the evaluator.
CREATE TABLE candidates (
    run_id          INTEGER NOT NULL REFERENCES runs (id),
    id              INTEGER NOT NULL CHECK (id > 0), -- 1, 2, 3, … within the run
    generation      INTEGER NOT NULL,
    stage           INTEGER NOT NULL,                -- in which it was first scored
    slot            INTEGER NOT NULL,
    genome          TEXT    NOT NULL,                -- two hex digits per site: the level's idx
    parent          INTEGER CHECK (parent < id),     -- NULL: a start
    operator        TEXT    NOT NULL,
    file_bytes      INTEGER NOT NULL,
    bits_per_weight REAL    NOT NULL,
    nonzeros        INTEGER NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('scored', 'failed', 'infeasible')),
    PRIMARY KEY (run_id, id),
    FOREIGN KEY (run_id, parent) REFERENCES candidates (run_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX candidates_by_generation ON candidates (run_id, generation);

-- The calibration tokens of one stage of one generation: the same for all candidates scored there.
CREATE TABLE slices (
    run_id     INTEGER NOT NULL REFERENCES runs (id),
    id         INTEGER NOT NULL CHECK (id > 0), -- 1, 2, 3, … within the run
    generation INTEGER NOT NULL,
    stage      INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    hash       TEXT    NOT NULL, -- of the token ids and their offsets
    PRIMARY KEY (run_id, id),
    UNIQUE (run_id, generation, stage)
) STRICT, WITHOUT ROWID;

-- One row per candidate and slice. Keyed by slice first: new rows go to the end.
CREATE TABLE scores (
    run_id      INTEGER NOT NULL,
    slice       INTEGER NOT NULL,
    candidate   INTEGER NOT NULL,
    stage       INTEGER NOT NULL,
    fitness     REAL,             -- lower is better; NULL: the evaluation failed
    kl          REAL,
    ppl         REAL,
    tokens      INTEGER NOT NULL,
    seconds     REAL    NOT NULL, -- of one worker
    kernel_path TEXT    NOT NULL,
    memo        INTEGER NOT NULL CHECK (memo IN (0, 1)), -- 1: taken from the memo, not computed again
    PRIMARY KEY (run_id, slice, candidate),
    FOREIGN KEY (run_id, slice) REFERENCES slices (run_id, id),
    FOREIGN KEY (run_id, candidate) REFERENCES candidates (run_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX scores_by_candidate ON scores (run_id, candidate);

-- Closed generations.
CREATE TABLE generations (
    run_id         INTEGER NOT NULL REFERENCES runs (id),
    generation     INTEGER NOT NULL CHECK (generation >= 0),
    candidates     INTEGER NOT NULL,
    evaluations    INTEGER NOT NULL,
    best_candidate INTEGER, -- NULL: every candidate failed
    best_fitness   REAL,
    tokens         INTEGER NOT NULL,
    chain          TEXT    NOT NULL, -- SHA-256 over this generation's rows and the chain before it
    seconds        REAL    NOT NULL,
    PRIMARY KEY (run_id, generation),
    FOREIGN KEY (run_id, best_candidate) REFERENCES candidates (run_id, id)
) STRICT, WITHOUT ROWID;

-- Held-out evaluation at the end of a run.
CREATE TABLE results (
    run_id            INTEGER NOT NULL REFERENCES runs (id),
    role              TEXT    NOT NULL CHECK (role IN ('winner', 'baseline', 'dense')),
    candidate         INTEGER, -- NULL: not one of the candidates
    genome            TEXT    NOT NULL,
    method            TEXT    NOT NULL,
    file_bytes        INTEGER NOT NULL,
    bits_per_weight   REAL    NOT NULL,
    nonzeros          INTEGER NOT NULL,
    kl                REAL,
    kl_error          REAL,
    ppl               REAL,
    ppl_error         REAL,
    tokens            INTEGER NOT NULL,
    paired_difference REAL, -- winner - baseline, mean over evaluation chunks
    paired_error      REAL, -- half-width of its 95 % interval
    PRIMARY KEY (run_id, role),
    FOREIGN KEY (run_id, candidate) REFERENCES candidates (run_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    run_id  INTEGER NOT NULL REFERENCES runs (id),
    at      TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    message TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_run ON events (run_id, id);

-- Files that a run wrote.
CREATE TABLE artifacts (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    path   TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    sha256 TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (run_id, path)
) STRICT, WITHOUT ROWID;
