-- Does the roll-up equal what the tallied segments say? Rows are the differences.
-- params:  none
-- returns: hunt_id, test_id, outcome, difference
SELECT hunt_id, test_id, outcome, SUM(trials) AS difference
FROM (
    SELECT hunt_id, test_id, outcome, trials FROM tally
    UNION ALL
    SELECT shard.hunt_id, trial.test_id, trial.outcome, -1
    FROM segment
    JOIN shard ON shard.id = segment.shard_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 1
)
GROUP BY hunt_id, test_id, outcome
HAVING SUM(trials) <> 0
ORDER BY hunt_id, test_id, outcome;
