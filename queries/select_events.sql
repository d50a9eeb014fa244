-- Events of a hunt, newest first.
-- params:  :hunt_id, :limit
-- returns: at_ms, kind, facts
SELECT at_ms, kind, facts
FROM event
WHERE hunt_id = :hunt_id
ORDER BY id DESC
LIMIT :limit;
