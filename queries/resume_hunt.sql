-- A hunt that runs again, perhaps with another end.
-- params:  :ends_ms, :hunt_id
-- returns: none
UPDATE hunt SET state = 0, reason = NULL, ended_ms = NULL, ends_ms = :ends_ms WHERE id = :hunt_id;
