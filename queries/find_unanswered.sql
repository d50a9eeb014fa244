-- Probes planned for one place of a question that were not answered and whose shard is open.
-- params:  :place, :question_id
-- returns: shard_id
SELECT probe.shard_id AS shard_id
FROM probe
JOIN shard ON shard.id = probe.shard_id
WHERE probe.question_id = :question_id AND probe.place = :place AND probe.answer IS NULL AND shard.state = 0
ORDER BY probe.shard_id;
