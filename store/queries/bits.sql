-- Where the bits went in the winner (or the best so far), by kind of layer and by third of the model's depth.
-- :run = run id or experiment name; all runs when absent
WITH picked AS (
    SELECT id FROM runs WHERE superseded = 0 AND (:run IS NULL OR id = :run OR experiment = :run)
),
depth AS (
    SELECT p.id AS run_id, max(block) + 1 AS blocks
    FROM picked p
    CROSS JOIN sites ON sites.run_id = p.id
    GROUP BY p.id
)
SELECT l.run_id, l.experiment, l.seed, l.role, l.kind,
       CASE WHEN l.block < 0 THEN 'outside'
            WHEN 3 * l.block < d.blocks THEN 'first third'
            WHEN 3 * l.block < 2 * d.blocks THEN 'second third'
            ELSE 'last third' END AS depth,
       count(*) AS sites, sum(l.weights) AS weights, sum(l.bytes) AS bytes,
       sum(l.bits_per_weight * l.weights) / nullif(sum(l.weights), 0) AS bits_per_weight, sum(l.nonzeros) AS nonzeros
FROM depth d
CROSS JOIN level_per_layer l ON l.run_id = d.run_id
WHERE l.role IN ('winner', 'current')
GROUP BY l.run_id, l.role, l.kind, depth
ORDER BY l.experiment, l.seed, l.role, l.kind, min(l.block)
