-- The level of every layer in the winner (or the best so far), the baseline's beside it.
-- :run = run id or experiment name; all runs when absent
SELECT w.run_id, w.experiment, w.seed, w.role, w.position, w.site, w.kind, w.block, w.weights,
       w.level, w.bytes, w.bits_per_weight, w.nonzeros, w.relative_error,
       b.level AS baseline_level, b.bytes AS baseline_bytes
FROM level_per_layer w
LEFT JOIN level_per_layer b ON b.run_id = w.run_id AND b.position = w.position AND b.role = 'baseline'
WHERE w.role <> 'baseline'
  AND w.run_id IN (SELECT id FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run))
ORDER BY w.experiment, w.seed, w.position
