-- Rows whose counterpart is missing or in the wrong state: of segments, plans, questions and probes.
-- params:  none
-- returns: kind, rows
SELECT 'trials of open segments' AS kind, COUNT(*) AS rows
FROM segment JOIN trial ON trial.segment_id = segment.id
WHERE segment.tallied = 0 AND segment."end" IS NULL
UNION ALL
SELECT 'journals of closed segments', COUNT(*)
FROM journal JOIN segment ON segment.id = journal.segment_id
WHERE segment."end" IS NOT NULL
UNION ALL
SELECT 'details without their trial', COUNT(*)
FROM detail JOIN segment ON segment.id = detail.segment_id
WHERE segment."end" IS NOT NULL AND detail.position >= segment.recorded
UNION ALL
SELECT 'shards missing from a plan', COUNT(*)
FROM (SELECT hunt_id FROM shard GROUP BY hunt_id HAVING COUNT(*) <> MAX(plan_index) + 1)
UNION ALL
SELECT 'questions missing from a suite', COUNT(*)
FROM (SELECT suite_id FROM question GROUP BY suite_id HAVING COUNT(*) <> MAX(number) + 1)
UNION ALL
SELECT 'probes missing from a question', COUNT(*)
FROM (SELECT question_id FROM probe GROUP BY question_id HAVING COUNT(DISTINCT place) <> MAX(place) + 1)
UNION ALL
SELECT 'probes without a shard of their own kind', COUNT(*)
FROM iteration
JOIN shard ON shard.iteration_id = iteration.id
LEFT JOIN probe ON probe.shard_id = shard.id
WHERE (iteration.design = 7) <> (probe.shard_id IS NOT NULL)
UNION ALL
SELECT 'answered probes whose shard is open', COUNT(*)
FROM probe JOIN shard ON shard.id = probe.shard_id
WHERE probe.answer IS NOT NULL AND shard.state = 0
ORDER BY kind;
