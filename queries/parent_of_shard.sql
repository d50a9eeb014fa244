-- The newest segment of a shard that recorded a trial, and its end.
-- params:  :shard_id
-- returns: id, recorded, end
SELECT id, recorded, "end" FROM segment WHERE shard_id = :shard_id AND recorded > 0 ORDER BY id DESC LIMIT 1;
