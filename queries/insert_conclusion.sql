-- What a question came to; the suite is that of the hunt.
-- params:  :body, :hunt_id, :number
-- returns: none
INSERT INTO conclusion (question_id, body)
SELECT question.id, :body
FROM hunt
JOIN question ON question.suite_id = hunt.suite_id AND question.number = :number
WHERE hunt.id = :hunt_id;
