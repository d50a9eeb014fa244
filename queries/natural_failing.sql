-- Tests that failed in the hunts of a suite, by the roll-up and by what is not in it yet, without probes.
-- params:  :suite_id
-- returns: test_id, name
SELECT test.id AS test_id, test.name AS name
FROM (
    SELECT tally.test_id AS test_id
    FROM suite
    JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
    JOIN tally ON tally.hunt_id = hunt.id AND tally.outcome BETWEEN 1 AND 5
    WHERE suite.suite_id = :suite_id
    UNION
    SELECT trial.test_id
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 0 AND trial.outcome BETWEEN 1 AND 5
) AS failing
JOIN test ON test.id = failing.test_id
ORDER BY test.id;
