-- How the analysis of the suite of a hunt stands from now on.
-- params:  :at_ms, :attempts, :canary, :canary_why, :fixed, :hunt_id, :iterations, :pair_coverage, :suspected
-- returns: none
INSERT INTO analysis (suite_id, at_ms, hunt_id, iterations, attempts, pair_coverage, canary, canary_why, suspected, fixed)
SELECT hunt.suite_id, :at_ms, hunt.id, :iterations, :attempts, :pair_coverage, :canary, :canary_why, :suspected, :fixed
FROM hunt
WHERE hunt.id = :hunt_id
ON CONFLICT (suite_id) DO UPDATE
SET at_ms = excluded.at_ms, hunt_id = excluded.hunt_id, iterations = excluded.iterations, attempts = excluded.attempts,
    pair_coverage = excluded.pair_coverage, canary = excluded.canary, canary_why = excluded.canary_why,
    suspected = excluded.suspected, fixed = excluded.fixed;
