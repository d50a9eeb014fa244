-- Says that the newest process of a hunt is alive.
-- params:  :at_ms, :hunt_id
-- returns: none
UPDATE lease
SET heartbeat_ms = :at_ms
WHERE id = (SELECT MAX(id) FROM lease WHERE hunt_id = :hunt_id);
