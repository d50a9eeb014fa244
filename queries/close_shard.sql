-- Closes a shard, unless it is closed.
-- params:  :shard_id, :state
-- returns: none
UPDATE shard SET state = :state WHERE id = :shard_id AND state = 0;
