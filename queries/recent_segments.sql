-- Closed segments of a suite, newest first, without probes.
-- params:  :limit, :suite_id
-- returns: id, recorded
SELECT segment.id AS id, segment.recorded AS recorded
FROM segment
CROSS JOIN shard ON shard.id = segment.shard_id
CROSS JOIN hunt ON hunt.id = shard.hunt_id
CROSS JOIN suite ON suite.id = hunt.suite_id
WHERE suite.suite_id = :suite_id AND segment."end" IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
ORDER BY segment.id DESC
LIMIT :limit;
