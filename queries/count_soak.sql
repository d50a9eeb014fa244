-- Failures, and trials that passed or failed, of each flagged test of a suite: the roll-up and what is not in it yet, no probes.
-- params:  :suite_id
-- returns: name, failures, trials
WITH flagged AS MATERIALIZED (
    SELECT DISTINCT flag.test_id AS test_id
    FROM suite
    JOIN flag ON flag.suite_id = suite.id
    WHERE suite.suite_id = :suite_id AND flag.test_id IS NOT NULL
), counted AS (
    SELECT tally.test_id AS test_id, tally.outcome AS outcome, tally.trials AS trials
    FROM suite
    CROSS JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
    CROSS JOIN flagged
    CROSS JOIN tally ON tally.hunt_id = hunt.id AND tally.test_id = flagged.test_id AND tally.outcome < 6
    WHERE suite.suite_id = :suite_id
    UNION ALL
    SELECT trial.test_id, trial.outcome, 1
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    CROSS JOIN hunt ON hunt.id = shard.hunt_id
    CROSS JOIN suite ON suite.id = hunt.suite_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 0 AND segment."end" IS NOT NULL AND suite.suite_id = :suite_id AND hunt.kind = 0
      AND trial.outcome < 6 AND trial.test_id IN (SELECT test_id FROM flagged)
      AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
)
SELECT test.name AS name, SUM(CASE WHEN counted.outcome > 0 THEN counted.trials ELSE 0 END) AS failures,
       SUM(counted.trials) AS trials
FROM counted
JOIN test ON test.id = counted.test_id
GROUP BY test.id
ORDER BY test.id;
