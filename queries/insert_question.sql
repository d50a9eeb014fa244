-- A question as it was opened; the suite is that of the hunt.
-- params:  :attempt, :hunt_id, :kind, :number, :opened_ms, :parameters, :revision_id, :victim_id
-- returns: none
INSERT INTO question (suite_id, number, hunt_id, revision_id, victim_id, kind, attempt, parameters, opened_ms)
SELECT hunt.suite_id, :number, hunt.id, :revision_id, :victim_id, :kind, :attempt, :parameters, :opened_ms
FROM hunt
WHERE hunt.id = :hunt_id;
