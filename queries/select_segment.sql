-- One segment by its row.
-- params:  :segment_id
-- returns: id, shard_id, attempt, parent_id, cut, cause, trials, order_digest, worker, started_us, started_ms, load_milli, cpu_pressure_milli, boot_id, end, interruption, ended_us, ended_ms, running, exit, cpu_us, peak_memory, oom_kills, stragglers, order_differs, reason, log
SELECT segment.id AS id, segment.shard_id AS shard_id, segment.attempt AS attempt, segment.parent_id AS parent_id,
       segment.cut AS cut, segment.cause AS cause, segment.trials AS trials,
       COALESCE(segment.order_digest, shard.order_digest) AS order_digest, segment.worker AS worker,
       segment.started_us AS started_us, segment.started_ms AS started_ms, segment.load_milli AS load_milli,
       segment.cpu_pressure_milli AS cpu_pressure_milli, lease.boot_id AS boot_id, segment."end" AS "end",
       segment.interruption AS interruption, segment.ended_us AS ended_us, segment.ended_ms AS ended_ms,
       test.name AS running, segment.exit AS exit, segment.cpu_us AS cpu_us, segment.peak_memory AS peak_memory,
       segment.oom_kills AS oom_kills, segment.stragglers AS stragglers, segment.order_differs AS order_differs,
       segment.reason AS reason, segment.log AS log
FROM segment
JOIN shard ON shard.id = segment.shard_id
JOIN lease ON lease.id = segment.lease_id
LEFT JOIN test ON test.id = segment.running_id
WHERE segment.id = :segment_id;
