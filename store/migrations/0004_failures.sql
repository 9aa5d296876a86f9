-- What failed is rare, and is found without reading what did not.

CREATE INDEX scores_failed ON scores (run_id, slice, candidate) WHERE fitness IS NULL;

CREATE INDEX candidates_infeasible ON candidates (run_id, id) WHERE status = 'infeasible';
