-- Trials of one test per outcome in the hunts of a suite: the roll-up and the closed segments not in it yet, without probes.
-- params:  :suite_id, :test_id
-- returns: outcome, trials
SELECT outcome, SUM(trials) AS trials
FROM (
    SELECT tally.outcome AS outcome, tally.trials AS trials
    FROM suite
    JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
    JOIN tally ON tally.hunt_id = hunt.id AND tally.test_id = :test_id
    WHERE suite.suite_id = :suite_id
    UNION ALL
    SELECT trial.outcome, 1
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    CROSS JOIN hunt ON hunt.id = shard.hunt_id
    CROSS JOIN suite ON suite.id = hunt.suite_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 0 AND segment."end" IS NOT NULL AND suite.suite_id = :suite_id AND hunt.kind = 0
      AND trial.test_id = :test_id AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
)
GROUP BY outcome
ORDER BY outcome;
