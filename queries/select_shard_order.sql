-- Names of an explicit order.
-- params:  :shard_id
-- returns: name
SELECT test.name AS name
FROM shard_order
JOIN test ON test.id = shard_order.test_id
WHERE shard_id = :shard_id
ORDER BY place;
