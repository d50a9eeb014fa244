-- Something worth keeping that is no trial.
-- params:  :at_ms, :facts, :hunt_id, :kind
-- returns: none
INSERT INTO event (hunt_id, at_ms, kind, facts) VALUES (:hunt_id, :at_ms, :kind, :facts);
