-- The front of file bytes against held-out KL: results that no other beats in both. Of one run, its candidates on calibration text.
-- :model = model as the experiment names it; all models when absent
-- :run = run id or experiment name: instead, those of its candidates that no other beats in bytes and fitness on the longest slice it scored
WITH slice AS ( -- of several as long, the one with most scores, and of these the latest
    SELECT run_id, id, row_number() OVER (PARTITION BY run_id ORDER BY tokens DESC,
               (SELECT count(*) FROM scores s WHERE s.run_id = l.run_id AND s.slice = l.id) DESC, id DESC) AS place
    FROM slices l
    WHERE run_id = :run OR run_id IN (SELECT id FROM runs WHERE experiment = :run AND superseded = 0)
), scored AS (
    SELECT r.model, r.target, r.id AS run_id, r.experiment, r.method, r.seed, c.id AS candidate, c.file_bytes, c.bits_per_weight, c.nonzeros,
           s.fitness, s.kl, s.ppl
    FROM slice l
    JOIN runs r ON r.id = l.run_id
    JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id AND s.fitness IS NOT NULL
    JOIN candidates c ON c.run_id = s.run_id AND c.id = s.candidate
    WHERE l.place = 1
)
SELECT *
FROM (
    SELECT model, target, run_id, experiment, method, seed, role,
           (SELECT candidate FROM results r WHERE r.run_id = p.run_id AND r.role = p.role) AS candidate,
           file_bytes, bits_per_weight, nonzeros, kl, kl_error, ppl, ppl_error
    FROM pareto p
    WHERE :run IS NULL
    UNION ALL
    SELECT model, target, run_id, experiment, method, seed, 'candidate', candidate, file_bytes, bits_per_weight, nonzeros, kl, NULL, ppl, NULL
    FROM scored c
    WHERE NOT EXISTS (
        SELECT 1
        FROM scored o
        WHERE o.run_id = c.run_id AND o.file_bytes <= c.file_bytes AND o.fitness <= c.fitness
          AND (o.file_bytes < c.file_bytes OR o.fitness < c.fitness))
)
WHERE :model IS NULL OR model = :model
ORDER BY model, target, run_id * (:run IS NOT NULL), file_bytes, kl
