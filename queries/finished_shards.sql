-- The finished shards of a hunt, newest first.
-- params:  :hunt_id, :limit
-- returns: id
SELECT shard.id AS id
FROM shard
WHERE shard.hunt_id = :hunt_id AND shard.state = 1
ORDER BY shard.id DESC
LIMIT :limit;
