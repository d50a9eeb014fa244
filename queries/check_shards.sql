-- Finished shards, how many trials they must answer, and whether they are probes.
-- params:  none
-- returns: id, trials, is_probe
SELECT shard.id AS id, shard.trials AS trials, EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id) AS is_probe
FROM shard
WHERE shard.state = 1
ORDER BY shard.id;
