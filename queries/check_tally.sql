-- Does the roll-up equal what the tallied segments say, without probes? Rows are the differences.
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
      AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
)
GROUP BY hunt_id, test_id, outcome
HAVING SUM(trials) <> 0
ORDER BY hunt_id, test_id, outcome;
