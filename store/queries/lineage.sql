-- The ancestors of a candidate, back to the start it came from.
-- :run = run id or experiment name; all runs when absent
-- :candidate = candidate id within the run; the winner (or the best so far) when absent
WITH RECURSIVE ancestor (run_id, step, candidate) AS (
    SELECT n.run_id, 0, coalesce(:candidate, n.candidate)
    FROM chosen n
    WHERE n.role IN ('winner', 'current')
      AND n.run_id IN (SELECT id FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run))
    UNION ALL
    SELECT a.run_id, a.step + 1, c.parent
    FROM ancestor a
    JOIN candidates c ON c.run_id = a.run_id AND c.id = a.candidate
    WHERE c.parent < c.id
)
SELECT a.run_id, r.experiment, r.seed, a.step, a.candidate, c.generation, c.parent, c.operator,
       (SELECT s.fitness FROM slices l JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id AND s.candidate = c.id
        WHERE l.run_id = c.run_id AND l.generation = c.generation ORDER BY l.stage DESC LIMIT 1) AS fitness,
       c.file_bytes, c.bits_per_weight, c.nonzeros, c.genome
FROM ancestor a
JOIN runs r ON r.id = a.run_id
JOIN candidates c ON c.run_id = a.run_id AND c.id = a.candidate
ORDER BY r.experiment, r.seed, a.step
