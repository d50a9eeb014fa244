-- Every flag of a suite that was raised before a moment, oldest first.
-- params:  :suite_id, :until_ms
-- returns: id, test_id, hunt_id, revision_id, at_ms, body, token
SELECT flag.id AS id, flag.test_id AS test_id, flag.hunt_id AS hunt_id, flag.revision_id AS revision_id,
       flag.at_ms AS at_ms, flag.body AS body, flag.token AS token
FROM suite
JOIN flag ON flag.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND flag.at_ms < :until_ms
ORDER BY flag.id;
