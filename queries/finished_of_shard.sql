-- Trials of a shard whose outcome says something: they need not run again.
-- params:  :shard_id
-- returns: name, rep, outcome
SELECT test.name AS name, trial.rep AS rep, trial.outcome AS outcome
FROM segment
JOIN trial ON trial.segment_id = segment.id
JOIN test ON test.id = trial.test_id
WHERE segment.shard_id = :shard_id AND trial.outcome < 7
ORDER BY trial.segment_id, trial.position;
