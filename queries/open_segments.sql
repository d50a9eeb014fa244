-- Segments of a hunt that are open, and whether they are probes.
-- params:  :hunt_id
-- returns: id, shard_id, started_us, started_ms, trials, is_probe
SELECT segment.id AS id, segment.shard_id AS shard_id, segment.started_us AS started_us, segment.started_ms AS started_ms,
       segment.trials AS trials,
       EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id) AS is_probe
FROM segment
CROSS JOIN shard ON shard.id = segment.shard_id
WHERE segment.tallied = 0 AND segment."end" IS NULL AND shard.hunt_id = :hunt_id
ORDER BY segment.id;
