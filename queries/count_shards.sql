-- Shards of a hunt: planned in all, not closed, abandoned; first plan index that is not closed.
-- params:  :hunt_id
-- returns: planned, unclosed, abandoned, first_open
SELECT (SELECT COALESCE(MAX(plan_index) + 1, 0) FROM shard WHERE hunt_id = :hunt_id) AS planned,
       (SELECT COUNT(*) FROM shard WHERE hunt_id = :hunt_id AND state = 0) AS unclosed,
       (SELECT COUNT(*) FROM shard WHERE hunt_id = :hunt_id AND state = 2) AS abandoned,
       (SELECT MIN(plan_index) FROM shard WHERE hunt_id = :hunt_id AND state = 0) AS first_open;
