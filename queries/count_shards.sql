-- Shards of a hunt: next plan index (probes share it); without probes: planned, not closed, abandoned; first plan index not closed.
-- params:  :hunt_id
-- returns: next, planned, unclosed, abandoned, first_open
SELECT (SELECT COALESCE(MAX(plan_index) + 1, 0) FROM shard WHERE hunt_id = :hunt_id) AS next,
       (SELECT COALESCE(MAX(plan_index) + 1, 0) FROM shard WHERE hunt_id = :hunt_id)
       - (SELECT COUNT(*) FROM iteration WHERE hunt_id = :hunt_id AND number < 0) AS planned,
       (SELECT COUNT(*) FROM shard
        WHERE hunt_id = :hunt_id AND state = 0 AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)) AS unclosed,
       (SELECT COUNT(*) FROM shard
        WHERE hunt_id = :hunt_id AND state = 2 AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)) AS abandoned,
       (SELECT MIN(plan_index) FROM shard
        WHERE hunt_id = :hunt_id AND state = 0 AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)) AS first_open;
