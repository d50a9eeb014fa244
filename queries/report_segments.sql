-- Where and by which clocks the segments of a suite's hunts began between two moments, without probes, oldest first.
-- params:  :since_ms, :suite_id, :until_ms
-- returns: shard_id, state, host, boot_id, started_us, started_ms
SELECT segment.shard_id AS shard_id, shard.state AS state, lease.host AS host, lease.boot_id AS boot_id,
       segment.started_us AS started_us, segment.started_ms AS started_ms
FROM suite
JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
JOIN shard ON shard.hunt_id = hunt.id
JOIN iteration ON iteration.id = shard.iteration_id AND iteration.number >= 0
JOIN segment ON segment.shard_id = shard.id
JOIN lease ON lease.id = segment.lease_id
WHERE suite.suite_id = :suite_id AND segment.started_ms >= :since_ms AND segment.started_ms < :until_ms
ORDER BY segment.id;
