-- Closed shards of a hunt between two plan indexes in plan order, without probes.
-- params:  :before, :from, :hunt_id
-- returns: id, plan_index, state, iteration_id, iteration, revision_id, design, shards, grouping, class
SELECT shard.id AS id, shard.plan_index AS plan_index, shard.state AS state, shard.iteration_id AS iteration_id,
       iteration.number AS iteration, iteration.revision_id AS revision_id, iteration.design AS design,
       iteration.shards AS shards, iteration.grouping AS grouping, iteration.class AS class
FROM shard
JOIN iteration ON iteration.id = shard.iteration_id
WHERE shard.hunt_id = :hunt_id AND shard.plan_index >= :from AND shard.plan_index < :before AND iteration.number >= 0
ORDER BY shard.plan_index;
