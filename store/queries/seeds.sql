-- The winners of each experiment over its seeds: mean, spread and how many beat their baseline.
-- :experiment = name; all experiments when absent
SELECT *
FROM seeds
WHERE :experiment IS NULL OR experiment = :experiment
ORDER BY experiment
