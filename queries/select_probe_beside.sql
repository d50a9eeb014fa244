-- Tests that run beside a probe.
-- params:  :shard_id
-- returns: name
SELECT test.name AS name
FROM probe_beside
JOIN test ON test.id = probe_beside.test_id
WHERE probe_beside.shard_id = :shard_id
ORDER BY probe_beside.place;
