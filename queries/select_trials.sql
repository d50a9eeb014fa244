-- Trials of a segment by position, with their texts.
-- params:  :segment_id
-- returns: position, test_id, name, rep, outcome, detail
SELECT trial.position AS position, trial.test_id AS test_id, test.name AS name, trial.rep AS rep, trial.outcome AS outcome,
       text.body AS detail
FROM trial
JOIN test ON test.id = trial.test_id
LEFT JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
LEFT JOIN text ON text.id = detail.text_id
WHERE trial.segment_id = :segment_id
ORDER BY trial.position;
