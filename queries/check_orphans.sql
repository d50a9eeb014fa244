-- Rows that belong to a segment in the wrong state: outcomes of an open one, a journal or no times of a closed one.
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
ORDER BY kind;
