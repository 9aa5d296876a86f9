-- Sums over scores and candidates, kept up to date as these are recorded, so that no query about whole runs reads a million of them.
-- No hash covers sums; finch check compares them with what they were made from.

-- SQLite took it for no query: it expects a run to have few scores.
DROP INDEX scores_by_candidate;

-- Of each generation, closed or not.
CREATE TABLE generation_costs (
    run_id          INTEGER NOT NULL REFERENCES runs (id),
    generation      INTEGER NOT NULL,
    evaluations     INTEGER NOT NULL,
    memo_hits       INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    computed_tokens INTEGER NOT NULL,
    worker_seconds  REAL    NOT NULL,
    PRIMARY KEY (run_id, generation)
) STRICT, WITHOUT ROWID;

-- Of each kind of mutation.
CREATE TABLE operator_counts (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    operator    TEXT    NOT NULL,
    changes     INTEGER NOT NULL,
    candidates  INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    became_best INTEGER NOT NULL DEFAULT 0,
    comparisons INTEGER NOT NULL DEFAULT 0,
    improved    INTEGER NOT NULL DEFAULT 0,
    change      REAL    NOT NULL DEFAULT 0, -- of fitness, in all comparisons
    PRIMARY KEY (run_id, operator, changes)
) STRICT, WITHOUT ROWID;

-- mutations: what made each candidate. A mutation is written "blk.3.attn_q q4_k>q3_k, blk.7.mlp keep>drop, +2 more": its kind is
-- what it changes, as far as it is spelled out, and at how many sites.
CREATE VIEW mutations AS
SELECT run_id, id AS candidate, generation, parent, status,
       CASE WHEN instr(operator, '>') = 0 THEN operator
            WHEN instr(operator, 'keep>drop') + instr(operator, 'drop>keep') = 0 THEN 'levels'
            WHEN (length(operator) - length(replace(replace(operator, 'keep>drop', ''), 'drop>keep', ''))) / 9
                 = length(operator) - length(replace(operator, '>', '')) THEN 'sublayers'
            ELSE 'levels and sublayers' END AS operator,
       length(operator) - length(replace(operator, '>', ''))
       + CASE WHEN instr(operator, ', +') THEN CAST(substr(operator, instr(operator, ', +') + 3) AS INTEGER) ELSE 0 END AS changes
FROM candidates;

-- comparisons: scores of a candidate on a slice that its parent was scored on, too.
CREATE VIEW comparisons AS
SELECT m.run_id, s.slice, m.candidate, m.operator, m.changes, s.fitness - p.fitness AS change
FROM scores s
CROSS JOIN mutations m ON m.run_id = s.run_id AND m.candidate = s.candidate
CROSS JOIN scores p ON p.run_id = s.run_id AND p.slice = s.slice AND p.candidate = m.parent
WHERE s.fitness IS NOT NULL AND p.fitness IS NOT NULL;

INSERT INTO generation_costs
SELECT l.run_id, l.generation, count(*), sum(s.memo), sum(s.tokens), sum((1 - s.memo) * s.tokens), sum(s.seconds)
FROM slices l
CROSS JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id
GROUP BY l.run_id, l.generation;

INSERT INTO operator_counts (run_id, operator, changes, candidates, failed)
SELECT run_id, operator, changes, count(*), count(*) FILTER (WHERE status = 'failed')
FROM mutations
GROUP BY run_id, operator, changes;

UPDATE operator_counts
SET became_best = n.became_best
FROM (SELECT m.run_id, m.operator, m.changes, count(*) AS became_best
      FROM generations g
      CROSS JOIN mutations m ON m.run_id = g.run_id AND m.candidate = g.best_candidate AND m.generation = g.generation
      GROUP BY m.run_id, m.operator, m.changes) AS n
WHERE n.run_id = operator_counts.run_id AND n.operator = operator_counts.operator AND n.changes = operator_counts.changes;

UPDATE operator_counts
SET comparisons = n.comparisons, improved = n.improved, change = n.change
FROM (SELECT run_id, operator, changes, count(*) AS comparisons, count(*) FILTER (WHERE change < 0) AS improved, sum(change) AS change
      FROM comparisons
      GROUP BY run_id, operator, changes) AS n
WHERE n.run_id = operator_counts.run_id AND n.operator = operator_counts.operator AND n.changes = operator_counts.changes;

CREATE TRIGGER candidate_counted AFTER INSERT ON candidates
BEGIN
    INSERT INTO operator_counts (run_id, operator, changes, candidates, failed)
    SELECT run_id, operator, changes, 1, status = 'failed' FROM mutations WHERE run_id = NEW.run_id AND candidate = NEW.id
    ON CONFLICT DO UPDATE SET candidates = candidates + 1, failed = failed + excluded.failed;
END;

-- A parent's score comes before those of its children: its number is lower.
CREATE TRIGGER score_counted AFTER INSERT ON scores
BEGIN
    INSERT INTO generation_costs
    SELECT NEW.run_id, generation, 1, NEW.memo, NEW.tokens, (1 - NEW.memo) * NEW.tokens, NEW.seconds
    FROM slices WHERE run_id = NEW.run_id AND id = NEW.slice
    ON CONFLICT DO UPDATE SET evaluations = evaluations + 1, memo_hits = memo_hits + excluded.memo_hits, tokens = tokens + excluded.tokens,
        computed_tokens = computed_tokens + excluded.computed_tokens, worker_seconds = worker_seconds + excluded.worker_seconds;

    UPDATE operator_counts
    SET comparisons = comparisons + 1, improved = improved + (n.change < 0), change = operator_counts.change + n.change
    FROM comparisons AS n
    WHERE n.run_id = NEW.run_id AND n.slice = NEW.slice AND n.candidate = NEW.candidate
      AND operator_counts.run_id = NEW.run_id AND operator_counts.operator = n.operator AND operator_counts.changes = n.changes;
END;

CREATE TRIGGER generation_counted AFTER INSERT ON generations
BEGIN
    UPDATE operator_counts
    SET became_best = became_best + 1
    FROM mutations AS m
    WHERE m.run_id = NEW.run_id AND m.candidate = NEW.best_candidate AND m.generation = NEW.generation
      AND operator_counts.run_id = NEW.run_id AND operator_counts.operator = m.operator AND operator_counts.changes = m.changes;
END;

DROP VIEW cost;

-- cost: what each run took. evaluations and tokens count closed and open generations; worker_seconds adds over workers.
CREATE VIEW cost AS
SELECT r.id AS run_id, r.experiment, r.method, r.seed, r.status,
       (SELECT count(*) FROM generations WHERE run_id = r.id) AS generations,
       (SELECT coalesce(sum(candidates), 0) FROM operator_counts WHERE run_id = r.id) AS candidates,
       coalesce(sum(k.evaluations), 0) AS evaluations, coalesce(sum(k.memo_hits), 0) AS memo_hits,
       coalesce(sum(k.tokens), 0) AS tokens,
       coalesce(sum(k.computed_tokens), 0) AS computed_tokens,
       coalesce(sum(k.worker_seconds), 0) AS worker_seconds,
       (SELECT coalesce(sum(seconds), 0) FROM generations WHERE run_id = r.id) AS search_seconds,
       r.seconds AS run_seconds
FROM runs r
LEFT JOIN generation_costs k ON k.run_id = r.id
WHERE r.superseded = 0
GROUP BY r.id;
