-- All questions of a suite by number.
-- params:  :suite_id
-- returns: id, number, hunt_id, revision_id, victim, kind, attempt, parameters, opened_ms, concluded
SELECT question.id AS id, question.number AS number, question.hunt_id AS hunt_id, question.revision_id AS revision_id,
       test.name AS victim, question.kind AS kind, question.attempt AS attempt, question.parameters AS parameters,
       question.opened_ms AS opened_ms, conclusion.body AS concluded
FROM suite
JOIN question ON question.suite_id = suite.id
JOIN test ON test.id = question.victim_id
LEFT JOIN conclusion ON conclusion.question_id = question.id
WHERE suite.suite_id = :suite_id
ORDER BY question.number;
