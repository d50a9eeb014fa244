-- Trials of a hunt per test and outcome: the roll-up and the closed segments not in it yet, without probes.
-- params:  :hunt_id
-- returns: name, outcome, trials
WITH counted (test_id, outcome, trials) AS (
    SELECT test_id, outcome, SUM(trials)
    FROM (
        SELECT test_id, outcome, trials FROM tally WHERE hunt_id = :hunt_id
        UNION ALL
        SELECT trial.test_id, trial.outcome, 1
        FROM segment
        CROSS JOIN shard ON shard.id = segment.shard_id
        JOIN trial ON trial.segment_id = segment.id
        WHERE segment.tallied = 0 AND shard.hunt_id = :hunt_id
          AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
    )
    GROUP BY test_id, outcome
)
SELECT test.name AS name, counted.outcome AS outcome, counted.trials AS trials
FROM counted
JOIN test ON test.id = counted.test_id
ORDER BY counted.test_id, counted.outcome;
