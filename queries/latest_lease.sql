-- The newest process that drove a hunt.
-- params:  :hunt_id
-- returns: host, boot_id, pid, tool, workers, started_ms, heartbeat_ms
SELECT host, boot_id, pid, tool, workers, started_ms, heartbeat_ms
FROM lease
WHERE hunt_id = :hunt_id
ORDER BY id DESC
LIMIT 1;
