-- Each run in two lines: its winner and the baseline at the same budget, on held-out text.
-- :run = run id or experiment name; all runs when absent
SELECT experiment, seed, method, budget, file_bytes, round(bits_per_weight, 4) AS bits_per_weight, round(kl, 5) AS kl, round(ppl, 3) AS ppl,
       CASE WHEN verdict IS NULL THEN status
            ELSE verdict || printf(' (%+.5f ± %.5f)', paired_difference, paired_error) END AS "against baseline"
FROM (
    SELECT run_id, experiment, seed, status, 0 AS line, method, budget, file_bytes, bits_per_weight, kl, ppl, verdict, paired_difference, paired_error
    FROM best
    UNION ALL
    SELECT run_id, '', NULL, '', 1, baseline_method, '', baseline_file_bytes, baseline_bits_per_weight, baseline_kl, baseline_ppl, NULL, NULL, NULL
    FROM best
    WHERE baseline_kl IS NOT NULL
)
WHERE :run IS NULL OR run_id = :run OR run_id IN (SELECT run_id FROM best WHERE experiment = :run)
ORDER BY run_id, line
