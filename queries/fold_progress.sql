-- Adds the closed segments that are not tallied to the roll-up per hunt.
-- params:  none
-- returns: none
INSERT INTO progress (hunt_id, segments, executions)
SELECT shard.hunt_id, COUNT(*), SUM(segment.executed)
FROM segment
JOIN shard ON shard.id = segment.shard_id
WHERE segment.tallied = 0 AND segment."end" IS NOT NULL
GROUP BY shard.hunt_id
ON CONFLICT (hunt_id) DO UPDATE SET segments = progress.segments + excluded.segments,
                                    executions = progress.executions + excluded.executions;
