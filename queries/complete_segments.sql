-- Segments of the complete iterations of a suite's hunts whose designs lie between two of them, both included.
-- params:  :first_design, :last_design, :suite_id
-- returns: segment_id, iteration_id
WITH complete AS MATERIALIZED (
    SELECT iteration.id AS id
    FROM suite
    JOIN hunt ON hunt.suite_id = suite.id AND hunt.kind = 0
    JOIN iteration ON iteration.hunt_id = hunt.id AND iteration.design BETWEEN :first_design AND :last_design
    WHERE suite.suite_id = :suite_id
      AND NOT EXISTS (SELECT 1 FROM shard WHERE shard.iteration_id = iteration.id AND shard.state <> 1)
)
SELECT segment.id AS segment_id, complete.id AS iteration_id
FROM complete
CROSS JOIN shard ON shard.iteration_id = complete.id
CROSS JOIN segment ON segment.shard_id = shard.id
ORDER BY segment.id;
