-- Iterations of a hunt: next number, planned, and those with a shard that is not closed.
-- params:  :hunt_id
-- returns: next, planned, unclosed
SELECT (SELECT COALESCE(MAX(number) + 1, 0) FROM iteration WHERE hunt_id = :hunt_id) AS next,
       (SELECT COUNT(*) FROM iteration WHERE hunt_id = :hunt_id) AS planned,
       (SELECT COUNT(DISTINCT iteration_id) FROM shard WHERE hunt_id = :hunt_id AND state = 0) AS unclosed;
