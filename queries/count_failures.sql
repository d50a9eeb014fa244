-- Tests of a hunt that failed: failures, and trials that passed or failed, without probes; most failures first.
-- params:  :hunt_id, :limit
-- returns: test_id, name, failures, trials
WITH counted (test_id, failures, trials) AS (
    SELECT test_id, SUM(trials) FILTER (WHERE outcome BETWEEN 1 AND 5), SUM(trials)
    FROM (
        SELECT test_id, outcome, trials FROM tally WHERE hunt_id = :hunt_id AND outcome < 6
        UNION ALL
        SELECT trial.test_id, trial.outcome, 1
        FROM segment
        CROSS JOIN shard ON shard.id = segment.shard_id
        JOIN trial ON trial.segment_id = segment.id
        WHERE segment.tallied = 0 AND shard.hunt_id = :hunt_id AND trial.outcome < 6
          AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
    )
    GROUP BY test_id
)
SELECT counted.test_id AS test_id, test.name AS name, counted.failures AS failures, counted.trials AS trials
FROM counted
JOIN test ON test.id = counted.test_id
WHERE counted.failures > 0
ORDER BY counted.failures DESC, test.name
LIMIT :limit;
