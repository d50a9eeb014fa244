-- Shards of a hunt that are not closed, in plan order, without probes.
-- params:  :hunt_id
-- returns: id, hunt_id, revision_id, plan_index, iteration, number, seed, algorithm, design, shards, grouping, class, drawn_with, trials, order_digest, state
SELECT shard.id AS id, shard.hunt_id AS hunt_id, iteration.revision_id AS revision_id, shard.plan_index AS plan_index,
       iteration.number AS iteration, shard.number AS number, iteration.seed AS seed, iteration.algorithm AS algorithm,
       iteration.design AS design, iteration.shards AS shards, iteration.grouping AS grouping, iteration.class AS class,
       iteration.drawn_with AS drawn_with, shard.trials AS trials, shard.order_digest AS order_digest, shard.state AS state
FROM shard
JOIN iteration ON iteration.id = shard.iteration_id
WHERE shard.hunt_id = :hunt_id AND shard.state = 0
  AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
ORDER BY shard.plan_index;
