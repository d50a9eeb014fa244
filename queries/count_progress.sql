-- Closed segments (without probes), started trials (with probes), and what passed or failed in probes of a hunt.
-- params:  :hunt_id
-- returns: segments, executions, probe_trials
SELECT COALESCE(SUM(segments), 0) AS segments, COALESCE(SUM(executions), 0) AS executions,
       COALESCE(SUM(probe_trials), 0) AS probe_trials
FROM (
    SELECT segments, executions, probe_trials FROM progress WHERE hunt_id = :hunt_id
    UNION ALL
    SELECT probe.shard_id IS NULL, segment.executed,
           CASE WHEN probe.shard_id IS NULL THEN 0
                ELSE (SELECT COUNT(*) FROM trial WHERE trial.segment_id = segment.id AND trial.outcome < 6) END
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    LEFT JOIN probe ON probe.shard_id = shard.id
    WHERE segment.tallied = 0 AND segment."end" IS NOT NULL AND shard.hunt_id = :hunt_id
);
