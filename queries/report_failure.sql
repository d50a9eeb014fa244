-- The last failure of a test in segments of hunts that began before a moment, without probes, with its text.
-- params:  :suite_id, :test_id, :until_ms
-- returns: hunt_id, iteration, revision_id, git, shard_id, segment_id, position, outcome, ended_ms, signature, detail
SELECT shard.hunt_id AS hunt_id, iteration.number AS iteration, iteration.revision_id AS revision_id, revision.git AS git,
       segment.shard_id AS shard_id, trial.segment_id AS segment_id, trial.position AS position, trial.outcome AS outcome,
       segment.ended_ms AS ended_ms, signature.line AS signature, text.body AS detail
FROM trial
JOIN segment ON segment.id = trial.segment_id
JOIN shard ON shard.id = segment.shard_id
JOIN iteration ON iteration.id = shard.iteration_id
JOIN revision ON revision.id = iteration.revision_id
JOIN hunt ON hunt.id = shard.hunt_id
JOIN suite ON suite.id = hunt.suite_id
LEFT JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
LEFT JOIN text ON text.id = detail.text_id
LEFT JOIN signature ON signature.id = detail.signature_id
WHERE trial.test_id = :test_id AND trial.outcome BETWEEN 1 AND 5 AND suite.suite_id = :suite_id AND hunt.kind = 0
  AND iteration.number >= 0 AND segment.started_ms < :until_ms
ORDER BY trial.segment_id DESC, trial.position DESC
LIMIT 1;
