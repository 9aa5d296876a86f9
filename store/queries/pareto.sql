-- The front of file bytes against held-out KL: results that no other beats in both. Of one run, its candidates on calibration text.
-- :model = model as the experiment names it; all models when absent
-- :run = run id or experiment name: instead, those of its candidates that no other beats in bytes and fitness on the longest slice it scored
WITH chosen_run AS (
    SELECT id AS run_id, (SELECT max(tokens) FROM slices WHERE run_id = runs.id) AS tokens
    FROM runs
    WHERE id = :run OR experiment = :run AND superseded = 0
), longest AS ( -- of several as long, the one with most scores, and of these the latest
    SELECT r.run_id, (
        SELECT k.id
        FROM slices k
        WHERE k.run_id = r.run_id AND k.tokens = r.tokens
        ORDER BY (SELECT count(*) FROM scores s WHERE s.run_id = k.run_id AND s.slice = k.id) DESC, k.id DESC
        LIMIT 1) AS slice
    FROM chosen_run r
), scored AS (
    SELECT r.model, r.target, r.id AS run_id, r.experiment, r.method, r.seed, c.id AS candidate, c.file_bytes, c.bits_per_weight, c.nonzeros,
           s.fitness, s.kl, s.ppl,
           min(s.fitness) OVER (PARTITION BY r.id ORDER BY c.file_bytes, s.fitness, c.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS smaller
    FROM longest
    CROSS JOIN runs r ON r.id = longest.run_id
    CROSS JOIN scores s ON s.run_id = longest.run_id AND s.slice = longest.slice AND s.fitness IS NOT NULL
    CROSS JOIN candidates c ON c.run_id = s.run_id AND c.id = s.candidate
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
    FROM scored
    WHERE smaller IS NULL OR fitness < smaller
)
WHERE :model IS NULL OR model = :model
ORDER BY model, target, run_id * (:run IS NOT NULL), file_bytes, kl
