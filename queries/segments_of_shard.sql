-- Segments of a shard, oldest first.
-- params:  :shard_id
-- returns: id
SELECT id FROM segment WHERE shard_id = :shard_id ORDER BY id;
