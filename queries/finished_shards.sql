-- The finished shards of a hunt, newest first, without probes.
-- params:  :hunt_id, :limit
-- returns: id
SELECT shard.id AS id
FROM shard
WHERE shard.hunt_id = :hunt_id AND shard.state = 1
  AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
ORDER BY shard.id DESC
LIMIT :limit;
