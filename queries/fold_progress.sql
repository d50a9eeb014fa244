-- Adds the closed segments that are not tallied to the roll-up per hunt.
-- params:  none
-- returns: none
INSERT INTO progress (hunt_id, segments, executions, probe_trials)
SELECT shard.hunt_id, SUM(probe.shard_id IS NULL), SUM(segment.executed),
       SUM(CASE WHEN probe.shard_id IS NULL THEN 0
                ELSE (SELECT COUNT(*) FROM trial WHERE trial.segment_id = segment.id AND trial.outcome < 6) END)
FROM segment
JOIN shard ON shard.id = segment.shard_id
LEFT JOIN probe ON probe.shard_id = shard.id
WHERE segment.tallied = 0 AND segment."end" IS NOT NULL
GROUP BY shard.hunt_id
ON CONFLICT (hunt_id) DO UPDATE SET segments = progress.segments + excluded.segments,
                                    executions = progress.executions + excluded.executions,
                                    probe_trials = progress.probe_trials + excluded.probe_trials;
