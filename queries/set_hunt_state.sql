-- How a hunt stands from now on.
-- params:  :ended_ms, :hunt_id, :reason, :state
-- returns: none
UPDATE hunt SET state = :state, reason = :reason, ended_ms = :ended_ms WHERE id = :hunt_id;
