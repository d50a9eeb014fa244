-- How the analysis of a suite stood when it last looked.
-- params:  :suite_id
-- returns: at_ms, hunt_id, iterations, attempts, pair_coverage, canary, canary_why, suspected, fixed
SELECT analysis.at_ms AS at_ms, analysis.hunt_id AS hunt_id, analysis.iterations AS iterations, analysis.attempts AS attempts,
       analysis.pair_coverage AS pair_coverage, analysis.canary AS canary, analysis.canary_why AS canary_why,
       analysis.suspected AS suspected, analysis.fixed AS fixed
FROM suite
JOIN analysis ON analysis.suite_id = suite.id
WHERE suite.suite_id = :suite_id;
