-- Shards that had this seed, cut and number, oldest first.
-- params:  :class, :design, :grouping, :number, :seed, :shards
-- returns: id
SELECT shard.id AS id
FROM iteration
JOIN shard ON shard.iteration_id = iteration.id
WHERE iteration.seed = :seed AND iteration.design = :design AND iteration.shards = :shards
  AND iteration.grouping = :grouping AND iteration.class = :class AND shard.number = :number
ORDER BY shard.id;
