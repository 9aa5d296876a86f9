-- How often each operator's children beat their parent on the same slice, and became the best of their generation.
-- :run = run id or experiment name; all runs when absent
WITH picked AS (
    SELECT id, experiment FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run)
),
made AS (
    SELECT p.experiment, c.operator, count(*) AS candidates,
           count(*) FILTER (WHERE c.status = 'failed') AS failed,
           count(*) FILTER (WHERE EXISTS (SELECT 1 FROM generations g WHERE g.run_id = c.run_id
               AND g.generation = c.generation AND g.best_candidate = c.id)) AS became_best
    FROM picked p
    JOIN candidates c ON c.run_id = p.id
    GROUP BY p.experiment, c.operator
),
pairs AS (
    SELECT p.experiment, c.operator, count(*) AS comparisons,
           count(*) FILTER (WHERE child.fitness < parent.fitness) AS improved,
           avg(child.fitness - parent.fitness) AS mean_change
    FROM picked p
    CROSS JOIN scores child ON child.run_id = p.id
    CROSS JOIN candidates c ON c.run_id = child.run_id AND c.id = child.candidate
    CROSS JOIN scores parent ON parent.run_id = c.run_id AND parent.slice = child.slice AND parent.candidate = c.parent
    WHERE child.fitness IS NOT NULL AND parent.fitness IS NOT NULL
    GROUP BY p.experiment, c.operator
)
SELECT m.experiment, m.operator, m.candidates, m.failed, m.became_best,
       coalesce(p.comparisons, 0) AS comparisons, coalesce(p.improved, 0) AS improved,
       1.0 * p.improved / p.comparisons AS improved_share, p.mean_change
FROM made m
LEFT JOIN pairs p ON p.experiment = m.experiment AND p.operator = m.operator
ORDER BY m.experiment, improved_share DESC, m.operator
