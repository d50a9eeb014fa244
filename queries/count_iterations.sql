-- Iterations of a hunt, without probes: next number, planned, and those with a shard that is not closed.
-- params:  :hunt_id
-- returns: next, planned, unclosed
SELECT (SELECT MAX(COALESCE(MAX(number) + 1, 0), 0) FROM iteration WHERE hunt_id = :hunt_id) AS next,
       (SELECT COUNT(*) FROM iteration WHERE hunt_id = :hunt_id AND number >= 0) AS planned,
       (SELECT COUNT(DISTINCT iteration_id)
        FROM shard
        WHERE hunt_id = :hunt_id AND state = 0 AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)) AS unclosed;
