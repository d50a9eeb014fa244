-- All flags of one test of a suite, newest first.
-- params:  :suite_id, :test_id
-- returns: id, test_id, hunt_id, revision_id, at_ms, body, token
SELECT flag.id AS id, flag.test_id AS test_id, flag.hunt_id AS hunt_id, flag.revision_id AS revision_id,
       flag.at_ms AS at_ms, flag.body AS body, flag.token AS token
FROM suite
JOIN flag ON flag.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND flag.test_id = :test_id
ORDER BY flag.id DESC;
