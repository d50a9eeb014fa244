-- The hunts of a suite that were alive at or after a time, oldest first.
-- params:  :since_ms, :suite_id
-- returns: id
SELECT hunt.id AS id
FROM hunt
JOIN suite ON suite.id = hunt.suite_id
WHERE suite.suite_id = :suite_id AND hunt.kind = 0
  AND EXISTS (SELECT 1 FROM lease WHERE lease.hunt_id = hunt.id AND lease.heartbeat_ms >= :since_ms)
ORDER BY hunt.id;
