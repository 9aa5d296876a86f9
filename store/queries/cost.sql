-- What each run took: generations, candidates, evaluations, tokens and seconds.
-- :run = run id or experiment name; all runs when absent
SELECT *, computed_tokens / nullif(worker_seconds, 0) AS tokens_per_second
FROM cost
WHERE :run IS NULL OR run_id = :run OR experiment = :run
ORDER BY experiment, seed
