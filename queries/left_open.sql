-- Segments of all hunts that are open.
-- params:  none
-- returns: id, started_ms
SELECT id, started_ms FROM segment WHERE tallied = 0 AND "end" IS NULL ORDER BY id;
