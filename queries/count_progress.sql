-- Closed segments and started trials of a hunt.
-- params:  :hunt_id
-- returns: segments, executions
SELECT COALESCE(SUM(segments), 0) AS segments, COALESCE(SUM(executions), 0) AS executions
FROM (
    SELECT segments, executions FROM progress WHERE hunt_id = :hunt_id
    UNION ALL
    SELECT 1, segment.executed
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    WHERE segment.tallied = 0 AND segment."end" IS NOT NULL AND shard.hunt_id = :hunt_id
);
