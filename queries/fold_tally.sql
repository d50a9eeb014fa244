-- Adds the closed segments that are not tallied to the roll-up per test and outcome, without probes.
-- params:  none
-- returns: none
INSERT INTO tally (hunt_id, test_id, outcome, trials)
SELECT shard.hunt_id, trial.test_id, trial.outcome, COUNT(*)
FROM segment
JOIN shard ON shard.id = segment.shard_id
JOIN trial ON trial.segment_id = segment.id
WHERE segment.tallied = 0 AND segment."end" IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM probe WHERE probe.shard_id = shard.id)
GROUP BY shard.hunt_id, trial.test_id, trial.outcome
ON CONFLICT (hunt_id, test_id, outcome) DO UPDATE SET trials = tally.trials + excluded.trials;
