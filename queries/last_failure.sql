-- The newest failure of a test in a hunt, but for probes.
-- params:  :hunt_id, :test_id
-- returns: shard_id, segment_id, position, outcome, ended_ms, detail, signature
SELECT segment.shard_id AS shard_id, trial.segment_id AS segment_id, trial.position AS position, trial.outcome AS outcome,
       segment.ended_ms AS ended_ms, text.body AS detail, signature.line AS signature
FROM trial
JOIN segment ON segment.id = trial.segment_id
JOIN shard ON shard.id = segment.shard_id
LEFT JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
LEFT JOIN text ON text.id = detail.text_id
LEFT JOIN signature ON signature.id = detail.signature_id
WHERE trial.test_id = :test_id AND trial.outcome BETWEEN 1 AND 5 AND shard.hunt_id = :hunt_id
  AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
ORDER BY trial.segment_id DESC, trial.position DESC
LIMIT 1;
