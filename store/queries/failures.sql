-- What went wrong: runs that ended with an error, candidates without a score and those that no file can hold.
-- :run = run id or experiment name; all runs when absent
WITH picked AS (
    SELECT id, experiment, seed, status, error FROM runs
    WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run)
)
SELECT p.id AS run_id, p.experiment, p.seed, 'run' AS what, NULL AS candidate, NULL AS generation, NULL AS stage, NULL AS operator,
       p.error AS reason
FROM picked p
WHERE p.status = 'failed'
UNION ALL
SELECT p.id, p.experiment, p.seed, 'score', s.candidate, l.generation, l.stage, c.operator, coalesce(f.reason, 'no finite score')
FROM picked p
CROSS JOIN scores s INDEXED BY scores_failed ON s.run_id = p.id AND s.fitness IS NULL
CROSS JOIN slices l ON l.run_id = s.run_id AND l.id = s.slice
CROSS JOIN candidates c ON c.run_id = s.run_id AND c.id = s.candidate
LEFT JOIN faults f ON f.run_id = s.run_id AND f.slice = s.slice AND f.candidate = s.candidate
UNION ALL
SELECT p.id, p.experiment, p.seed, 'candidate', c.id, c.generation, c.stage, c.operator, 'no file can hold it'
FROM picked p
CROSS JOIN candidates c INDEXED BY candidates_infeasible ON c.run_id = p.id AND c.status = 'infeasible'
ORDER BY run_id, generation, stage, candidate
