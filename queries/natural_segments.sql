-- Segments of the complete natural iterations of a suite's hunts.
-- params:  :suite_id
-- returns: segment_id, iteration_id
SELECT segment.id AS segment_id, iteration.id AS iteration_id
FROM suite
JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
JOIN iteration ON iteration.hunt_id = hunt.id AND iteration.design = 4
JOIN shard ON shard.iteration_id = iteration.id
JOIN segment ON segment.shard_id = shard.id
WHERE suite.suite_id = :suite_id
  AND NOT EXISTS (SELECT 1 FROM shard AS other WHERE other.iteration_id = iteration.id AND other.state <> 1)
ORDER BY segment.id;
