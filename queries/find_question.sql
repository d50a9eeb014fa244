-- Row of a question by its number in the suite of a hunt; how many of its places are planned.
-- params:  :hunt_id, :number
-- returns: id, places
SELECT question.id AS id,
       (SELECT COALESCE(MAX(probe.place) + 1, 0) FROM probe WHERE probe.question_id = question.id) AS places
FROM hunt
JOIN question ON question.suite_id = hunt.suite_id AND question.number = :number
WHERE hunt.id = :hunt_id;
