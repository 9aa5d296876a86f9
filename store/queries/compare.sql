-- Runs side by side, best held-out KL first, with what their closed generations cost.
-- :runs = run ids or experiment names, separated by commas; all runs when absent
SELECT b.run_id, b.experiment, b.method, b.seed, b.status, b.file_bytes, b.bits_per_weight, b.nonzeros,
       b.kl, b.kl_error, b.kl / nullif(min(b.kl) OVER (), 0) AS kl_ratio, b.ppl, b.ppl_error,
       b.baseline_kl, b.baseline_ppl, b.paired_difference, b.paired_error, b.verdict,
       (SELECT sum(evaluations) FROM generations g WHERE g.run_id = b.run_id) AS evaluations,
       (SELECT sum(tokens) FROM generations g WHERE g.run_id = b.run_id) AS tokens,
       (SELECT sum(k.computed_tokens) FROM generations g JOIN generation_costs k USING (run_id, generation) WHERE g.run_id = b.run_id) AS computed_tokens,
       (SELECT sum(seconds) FROM generations g WHERE g.run_id = b.run_id) AS search_seconds, r.model_hash, r.evaluation_hash
FROM best b JOIN runs r ON r.id = b.run_id
WHERE :runs IS NULL
   OR instr(',' || replace(:runs, ' ', '') || ',', ',' || b.run_id || ',') > 0
   OR instr(',' || replace(:runs, ' ', '') || ',', ',' || replace(b.experiment, ' ', '') || ',') > 0
ORDER BY b.kl IS NULL, b.kl, b.run_id
