-- Closed segments of a shard, oldest first.
-- params:  :shard_id
-- returns: id, parent_id, trials, order_digest, worker, boot_id, started_us, started_ms, end, ended_us, running_id, order_differs
SELECT segment.id AS id, segment.parent_id AS parent_id, segment.trials AS trials,
       COALESCE(segment.order_digest, shard.order_digest) AS order_digest, segment.worker AS worker,
       lease.boot_id AS boot_id, segment.started_us AS started_us, segment.started_ms AS started_ms,
       segment."end" AS "end", segment.ended_us AS ended_us, segment.running_id AS running_id,
       segment.order_differs AS order_differs
FROM segment
JOIN shard ON shard.id = segment.shard_id
JOIN lease ON lease.id = segment.lease_id
WHERE segment.shard_id = :shard_id AND segment."end" IS NOT NULL
ORDER BY segment.id;
