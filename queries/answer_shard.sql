-- How many planned trials of a shard have an outcome, and how many have two that say something.
-- params:  :shard_id
-- returns: answered, doubled
SELECT COUNT(*) AS answered, COALESCE(SUM(telling > 1), 0) AS doubled
FROM (
    SELECT SUM(trial.outcome < 7) AS telling
    FROM segment
    JOIN trial ON trial.segment_id = segment.id
    WHERE segment.shard_id = :shard_id
    GROUP BY trial.test_id, trial.rep
);
