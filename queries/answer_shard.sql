-- How many planned trials of a shard are answered (aborted is no answer: it runs again), and how many twice.
-- params:  :shard_id
-- returns: answered, doubled
SELECT COALESCE(SUM(answers > 0), 0) AS answered, COALESCE(SUM(telling > 1), 0) AS doubled
FROM (
    SELECT SUM(trial.outcome < 7) AS telling, SUM(trial.outcome <> 7) AS answers
    FROM segment
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.shard_id = :shard_id
    GROUP BY trial.test_id, trial.rep
);
