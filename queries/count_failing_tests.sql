-- How many tests of a hunt failed at least once; failures in probes are not counted.
-- params:  :hunt_id
-- returns: tests
SELECT COUNT(DISTINCT test_id) AS tests
FROM (
    SELECT test_id FROM tally WHERE hunt_id = :hunt_id AND outcome BETWEEN 1 AND 5
    UNION ALL
    SELECT trial.test_id
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 0 AND shard.hunt_id = :hunt_id AND trial.outcome BETWEEN 1 AND 5
      AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
);
