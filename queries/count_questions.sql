-- Questions of the suite of a hunt.
-- params:  :hunt_id
-- returns: questions
SELECT COUNT(*) AS questions
FROM hunt
JOIN question ON question.suite_id = hunt.suite_id
WHERE hunt.id = :hunt_id;
