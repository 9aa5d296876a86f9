-- Views answer the questions people ask. All of them leave superseded runs out.

-- best: one row per live run, held-out figures only; NULL until the run has a winner.
-- verdict: win or loss when the paired difference exceeds its 95 % interval, else tie.
CREATE VIEW best AS
SELECT r.id AS run_id, r.experiment, r.method, r.seed, r.status, r.target, r.budget, r.limit_bytes,
       w.file_bytes, w.bits_per_weight, w.nonzeros, w.kl, w.kl_error, w.ppl, w.ppl_error,
       b.method AS baseline_method, b.file_bytes AS baseline_file_bytes,
       b.bits_per_weight AS baseline_bits_per_weight, b.kl AS baseline_kl, b.ppl AS baseline_ppl,
       d.file_bytes AS dense_file_bytes, d.ppl AS dense_ppl,
       w.paired_difference, w.paired_error,
       CASE WHEN w.paired_difference + w.paired_error < 0 THEN 'win'
            WHEN w.paired_difference - w.paired_error > 0 THEN 'loss'
            WHEN w.paired_difference - w.paired_error IS NOT NULL THEN 'tie' END AS verdict
FROM runs r
LEFT JOIN results w ON w.run_id = r.id AND w.role = 'winner'
LEFT JOIN results b ON b.run_id = r.id AND b.role = 'baseline'
LEFT JOIN results d ON d.run_id = r.id AND d.role = 'dense'
WHERE r.superseded = 0;

-- trajectory: one row per closed generation. Each stage draws its own slice, so best_fitness may rise.
CREATE VIEW trajectory AS
SELECT g.run_id, r.experiment, r.method, r.seed, g.generation, g.best_candidate, g.best_fitness,
       c.file_bytes, c.bits_per_weight, c.nonzeros,
       g.candidates, g.evaluations, sum(g.evaluations) OVER so_far AS total_evaluations,
       g.tokens, sum(g.tokens) OVER so_far AS total_tokens,
       g.seconds, sum(g.seconds) OVER so_far AS total_seconds
FROM generations g
JOIN runs r ON r.id = g.run_id AND r.superseded = 0
LEFT JOIN candidates c ON c.run_id = g.run_id AND c.id = g.best_candidate
WINDOW so_far AS (PARTITION BY g.run_id ORDER BY g.generation);

-- chosen: the genomes worth looking at: winner and baseline, and the best so far ('current') of a run without a winner.
CREATE VIEW chosen AS
SELECT t.run_id, t.role, t.candidate, t.genome
FROM results t
JOIN runs r ON r.id = t.run_id AND r.superseded = 0
WHERE t.role <> 'dense'
UNION ALL
SELECT g.run_id, 'current', g.best_candidate, c.genome
FROM runs r
JOIN generations g ON g.run_id = r.id
     AND g.generation = (SELECT max(generation) FROM generations WHERE run_id = r.id)
JOIN candidates c ON c.run_id = g.run_id AND c.id = g.best_candidate
WHERE r.superseded = 0
  AND NOT EXISTS (SELECT 1 FROM results WHERE run_id = r.id AND role = 'winner');

-- level_per_layer: the level of every site in the chosen genomes.
CREATE VIEW level_per_layer AS
SELECT n.run_id, r.experiment, r.method, r.seed, n.role, s.position, s.name AS site, s.kind, s.block, s.weights,
       l.idx, l.name AS level, l.format, l.bytes, l.bits_per_weight, l.nonzeros, l.relative_error
FROM chosen n
JOIN runs r ON r.id = n.run_id
JOIN sites s ON s.run_id = n.run_id
JOIN levels l ON l.run_id = s.run_id AND l.site = s.position
     AND printf('%02x', l.idx) = substr(n.genome, 2 * s.position + 1, 2);

-- bits_by_kind: where the bits went, by kind of site (attn_q, ffn_down, …).
CREATE VIEW bits_by_kind AS
SELECT run_id, experiment, method, seed, role, kind, count(*) AS sites, sum(weights) AS weights, sum(bytes) AS bytes,
       sum(bits_per_weight * weights) / nullif(sum(weights), 0) AS bits_per_weight, sum(nonzeros) AS nonzeros
FROM level_per_layer
GROUP BY run_id, role, kind;

-- lineage: the ancestors of each run's winner (or of its best so far); step 0 is the winner, the last step a start.
-- fitness is that of the last stage it reached in the generation that made it.
CREATE VIEW lineage AS
WITH RECURSIVE ancestor (run_id, step, candidate) AS (
    SELECT run_id, 0, candidate FROM chosen WHERE role IN ('winner', 'current') AND candidate IS NOT NULL
    UNION ALL
    SELECT a.run_id, a.step + 1, c.parent
    FROM ancestor a
    JOIN candidates c ON c.run_id = a.run_id AND c.id = a.candidate
    WHERE c.parent < c.id
)
SELECT a.run_id, r.experiment, r.method, r.seed, a.step, a.candidate, c.generation, c.parent, c.operator,
       (SELECT s.fitness FROM slices l JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id AND s.candidate = c.id
        WHERE l.run_id = c.run_id AND l.generation = c.generation ORDER BY l.stage DESC LIMIT 1) AS fitness,
       c.file_bytes, c.bits_per_weight, c.nonzeros, c.genome
FROM ancestor a
JOIN runs r ON r.id = a.run_id
JOIN candidates c ON c.run_id = a.run_id AND c.id = a.candidate;

-- pareto: held-out results that no other beats in both file bytes and KL, among those of one model, target and
-- evaluation set.
CREATE VIEW pareto AS
SELECT r.model, r.target, t.run_id, r.experiment, t.method, r.seed, t.role,
       t.file_bytes, t.bits_per_weight, t.nonzeros, t.kl, t.kl_error, t.ppl, t.ppl_error
FROM results t
JOIN runs r ON r.id = t.run_id AND r.superseded = 0
WHERE t.kl IS NOT NULL
  AND NOT EXISTS (
    SELECT 1
    FROM runs q
    JOIN results o ON o.run_id = q.id
    WHERE q.superseded = 0 AND q.model_hash = r.model_hash AND q.evaluation_hash = r.evaluation_hash
      AND q.target = r.target
      AND o.file_bytes <= t.file_bytes AND o.kl <= t.kl AND (o.file_bytes < t.file_bytes OR o.kl < t.kl));

-- seeds: mean and spread of the winners over the seeds of an experiment. *_sd is the sample standard deviation.
CREATE VIEW seeds AS
WITH mean AS (
    SELECT experiment, avg(kl) AS kl, avg(ppl) AS ppl FROM best GROUP BY experiment
)
SELECT b.experiment, min(b.method) AS method, count(*) AS runs, count(b.kl) AS measured,
       count(*) FILTER (WHERE b.verdict = 'win') AS wins,
       avg(b.file_bytes) AS file_bytes, avg(b.bits_per_weight) AS bits_per_weight,
       m.kl AS kl_mean, sqrt(sum((b.kl - m.kl) * (b.kl - m.kl)) / nullif(count(b.kl) - 1, 0)) AS kl_sd,
       min(b.kl) AS kl_min, max(b.kl) AS kl_max,
       m.ppl AS ppl_mean, sqrt(sum((b.ppl - m.ppl) * (b.ppl - m.ppl)) / nullif(count(b.ppl) - 1, 0)) AS ppl_sd,
       min(b.ppl) AS ppl_min, max(b.ppl) AS ppl_max,
       avg(b.baseline_kl) AS baseline_kl, avg(b.baseline_ppl) AS baseline_ppl
FROM best b
JOIN mean m ON m.experiment = b.experiment
GROUP BY b.experiment;

-- cost: what each run took. evaluations and tokens count closed and open generations; worker_seconds adds over workers.
CREATE VIEW cost AS
SELECT r.id AS run_id, r.experiment, r.method, r.seed, r.status,
       (SELECT count(*) FROM generations WHERE run_id = r.id) AS generations,
       (SELECT count(*) FROM candidates WHERE run_id = r.id) AS candidates,
       count(s.slice) AS evaluations, coalesce(sum(s.memo), 0) AS memo_hits,
       coalesce(sum(s.tokens), 0) AS tokens,
       coalesce(sum(s.tokens) FILTER (WHERE s.memo = 0), 0) AS computed_tokens,
       coalesce(sum(s.seconds), 0) AS worker_seconds,
       (SELECT coalesce(sum(seconds), 0) FROM generations WHERE run_id = r.id) AS search_seconds,
       r.seconds AS run_seconds
FROM runs r
LEFT JOIN scores s ON s.run_id = r.id
WHERE r.superseded = 0
GROUP BY r.id;
