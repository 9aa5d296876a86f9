-- How each run stands: how far it is, and its best fitness on calibration text.
-- :run = run id or experiment name; all runs when absent
SELECT r.id AS run, r.experiment, r.seed, r.method, r.status, max(g.generation) AS generation,
       (SELECT best_fitness FROM generations WHERE run_id = r.id ORDER BY generation DESC LIMIT 1) AS best_fitness,
       sum(g.tokens) AS tokens, round(r.seconds, 1) AS seconds, r.kernel_path AS kernels, r.created_at AS begun, r.error
FROM runs r
LEFT JOIN generations g ON g.run_id = r.id
WHERE r.superseded = 0 AND (:run IS NULL OR r.id = :run OR r.experiment = :run)
GROUP BY r.id
ORDER BY r.id
