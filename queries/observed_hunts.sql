-- Hunts of a suite from one on: planned iterations, and the first plan index that is not closed, without probes.
-- params:  :from_hunt, :suite_id
-- returns: id, iterations, before
SELECT hunt.id AS id,
       (SELECT MAX(COALESCE(MAX(iteration.number) + 1, 0), 0) FROM iteration WHERE iteration.hunt_id = hunt.id) AS iterations,
       COALESCE((SELECT MIN(shard.plan_index) FROM shard
                 WHERE shard.hunt_id = hunt.id AND shard.state = 0
                   AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)),
                (SELECT MAX(shard.plan_index) + 1 FROM shard WHERE shard.hunt_id = hunt.id), 0) AS before
FROM suite
JOIN hunt ON hunt.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND hunt.kind = 0 AND hunt.id >= :from_hunt
ORDER BY hunt.id;
