-- How many trials the last attempt at a probe has recorded (aborted is none): each attempt runs all of it.
-- params:  :shard_id
-- returns: answered
SELECT COUNT(*) AS answered
FROM segment
JOIN trial ON trial.segment_id = segment.id
WHERE segment.shard_id = :shard_id AND trial.outcome <> 7
  AND segment.attempt = (SELECT MAX(attempt) FROM segment WHERE shard_id = :shard_id);
