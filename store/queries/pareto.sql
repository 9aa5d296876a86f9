-- The front of file bytes against held-out KL: results that no other beats in both.
-- :model = model as the experiment names it; all models when absent
SELECT *
FROM pareto
WHERE :model IS NULL OR model = :model
ORDER BY model, target, file_bytes, kl
