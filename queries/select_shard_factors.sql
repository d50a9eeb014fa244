-- Environment factors of a shard by name.
-- params:  :shard_id
-- returns: factor, level, drawn_with
SELECT factor, level, drawn_with
FROM shard_factor
WHERE shard_id = :shard_id
ORDER BY factor;
