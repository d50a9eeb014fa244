-- Trials of a hunt per outcome: the roll-up and the closed segments not in it yet, without probes.
-- params:  :hunt_id
-- returns: outcome, trials
SELECT outcome, SUM(trials) AS trials
FROM (
    SELECT outcome, trials FROM tally WHERE hunt_id = :hunt_id
    UNION ALL
    SELECT trial.outcome, 1
    FROM segment
    CROSS JOIN shard ON shard.id = segment.shard_id
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.tallied = 0 AND shard.hunt_id = :hunt_id
      AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
)
GROUP BY outcome
ORDER BY outcome;
