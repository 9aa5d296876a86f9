-- The memo: what a score depends on, as one hash, so that the same network on the same slice is scored once, whatever run
-- asks. NULL: scored before there was a memo, and never found in it.

ALTER TABLE scores ADD COLUMN key TEXT;

CREATE INDEX scores_by_key ON scores (key) WHERE memo = 0 AND key IS NOT NULL;
