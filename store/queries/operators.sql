-- How often each operator's children beat their parent on the same slice, and became the best of their generation.
-- :run = run id or experiment name; all runs when absent
SELECT r.experiment, n.operator, n.changes, sum(n.candidates) AS candidates, sum(n.failed) AS failed, sum(n.became_best) AS became_best,
       sum(n.comparisons) AS comparisons, sum(n.improved) AS improved,
       1.0 * sum(n.improved) / nullif(sum(n.comparisons), 0) AS improved_share, sum(n.change) / nullif(sum(n.comparisons), 0) AS mean_change
FROM runs r
CROSS JOIN operator_counts n ON n.run_id = r.id
WHERE r.superseded = 0 AND (:run IS NULL OR r.id = :run OR r.experiment = :run)
GROUP BY r.experiment, n.operator, n.changes
ORDER BY r.experiment, improved_share DESC, n.operator, n.changes
