-- Each run's winner on held-out data, beside its baseline and the dense model.
-- :run = run id or experiment name; all runs when absent
SELECT *
FROM best
WHERE :run IS NULL OR run_id = :run OR experiment = :run
ORDER BY experiment, seed
