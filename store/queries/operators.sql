-- How often each operator's children beat their parent on the same slice, and became the best of their generation.
-- :run = run id or experiment name; all runs when absent
WITH picked AS (
    SELECT id, experiment FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run)
),
-- A mutation is written "blk.3.attn_q q4_k>q3_k, blk.7.mlp keep>drop, +2 more": its kind is what it changes, as far as it
-- is spelled out, and at how many sites.
counted AS (
    SELECT p.experiment, c.run_id, c.id, c.generation, c.parent, c.status, c.operator,
           length(c.operator) - length(replace(c.operator, '>', '')) AS written,
           (length(c.operator) - length(replace(replace(c.operator, 'keep>drop', ''), 'drop>keep', ''))) / 9 AS gates,
           CASE WHEN instr(c.operator, ', +') THEN CAST(substr(c.operator, instr(c.operator, ', +') + 3) AS INTEGER) ELSE 0 END AS more
    FROM picked p
    CROSS JOIN candidates c ON c.run_id = p.id
),
named AS (
    SELECT experiment, run_id, id, generation, parent, status, written + more AS changes,
           CASE WHEN written = 0 THEN operator
                WHEN gates = 0 THEN 'levels'
                WHEN gates = written THEN 'sublayers'
                ELSE 'levels and sublayers' END AS operator
    FROM counted
),
made AS (
    SELECT experiment, operator, changes, count(*) AS candidates, count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE EXISTS (SELECT 1 FROM generations g WHERE g.run_id = n.run_id
               AND g.generation = n.generation AND g.best_candidate = n.id)) AS became_best
    FROM named n
    GROUP BY experiment, operator, changes
),
pairs AS (
    SELECT n.experiment, n.operator, n.changes, count(*) AS comparisons,
           count(*) FILTER (WHERE child.fitness < parent.fitness) AS improved,
           avg(child.fitness - parent.fitness) AS mean_change
    FROM named n
    CROSS JOIN scores child ON child.run_id = n.run_id AND child.candidate = n.id
    CROSS JOIN scores parent ON parent.run_id = n.run_id AND parent.slice = child.slice AND parent.candidate = n.parent
    WHERE child.fitness IS NOT NULL AND parent.fitness IS NOT NULL
    GROUP BY n.experiment, n.operator, n.changes
)
SELECT m.experiment, m.operator, m.changes, m.candidates, m.failed, m.became_best,
       coalesce(p.comparisons, 0) AS comparisons, coalesce(p.improved, 0) AS improved,
       1.0 * p.improved / p.comparisons AS improved_share, p.mean_change
FROM made m
LEFT JOIN pairs p ON p.experiment = m.experiment AND p.operator = m.operator AND p.changes = m.changes
ORDER BY m.experiment, improved_share DESC, m.operator, m.changes
