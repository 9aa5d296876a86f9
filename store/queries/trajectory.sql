-- The best candidate and the tokens spent, generation by generation.
-- :run = run id or experiment name; all runs when absent
SELECT *
FROM trajectory
WHERE run_id IN (SELECT id FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run))
ORDER BY experiment, seed, generation
