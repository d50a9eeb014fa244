-- Signatures of the failures of a test in segments of hunts that began between two moments, without probes.
-- params:  :since_ms, :suite_id, :test_id, :until_ms
-- returns: signature, failures
SELECT signature.line AS signature, COUNT(*) AS failures
FROM trial
JOIN segment ON segment.id = trial.segment_id
JOIN shard ON shard.id = segment.shard_id
JOIN iteration ON iteration.id = shard.iteration_id
JOIN hunt ON hunt.id = shard.hunt_id
JOIN suite ON suite.id = hunt.suite_id
JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
JOIN signature ON signature.id = detail.signature_id
WHERE trial.test_id = :test_id AND trial.outcome BETWEEN 1 AND 5 AND suite.suite_id = :suite_id AND hunt.kind = 0
  AND iteration.number >= 0 AND segment.started_ms >= :since_ms AND segment.started_ms < :until_ms
GROUP BY signature.line
ORDER BY failures DESC, signature.line;
