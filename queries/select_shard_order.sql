-- Names of an explicit order.
-- params:  :shard_id
-- returns: name, rep, process
SELECT test.name AS name, shard_order.rep AS rep, shard_order.process AS process
FROM shard_order
JOIN test ON test.id = shard_order.test_id
WHERE shard_id = :shard_id
ORDER BY place;
