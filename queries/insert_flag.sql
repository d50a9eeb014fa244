-- A claim; the suite is that of the hunt.
-- params:  :at_ms, :body, :certified, :hunt_id, :ln_e, :reach, :revision_id, :test_id, :token, :verdict
-- returns: none
INSERT INTO flag (suite_id, test_id, hunt_id, revision_id, at_ms, verdict, certified, ln_e, reach, body, token)
SELECT hunt.suite_id, :test_id, hunt.id, :revision_id, :at_ms, :verdict, :certified, :ln_e, :reach, :body, :token
FROM hunt
WHERE hunt.id = :hunt_id;
