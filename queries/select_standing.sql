-- How one test of a suite stood.
-- params:  :suite_id, :test_id
-- returns: body
SELECT standing.body AS body
FROM suite
JOIN standing ON standing.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND standing.test_id = :test_id;
