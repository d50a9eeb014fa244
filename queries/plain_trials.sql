-- Tests and outcomes of a segment by position.
-- params:  :segment_id
-- returns: name, outcome
SELECT test.name AS name, trial.outcome AS outcome
FROM trial
JOIN test ON test.id = trial.test_id
WHERE trial.segment_id = :segment_id
ORDER BY trial.position;
