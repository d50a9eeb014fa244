-- How often a suite tried to certify something, in its whole life.
-- params:  :suite_id
-- returns: attempts
SELECT COUNT(*) AS attempts
FROM suite
JOIN question ON question.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND question.attempt = 1;
