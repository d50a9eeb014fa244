-- A segment about to start; its order digest is left out where it is the shard's.
-- params:  :attempt, :cause, :cpu_pressure_milli, :cut, :load_milli, :order_digest, :parent_id, :shard_id, :started_ms, :started_us, :trials, :worker
-- returns: none
INSERT INTO segment (shard_id, lease_id, attempt, parent_id, cut, cause, trials, order_digest, worker, started_us,
                     started_ms, load_milli, cpu_pressure_milli)
SELECT shard.id, (SELECT MAX(lease.id) FROM lease WHERE lease.hunt_id = shard.hunt_id), :attempt, :parent_id, :cut, :cause,
       :trials, NULLIF(:order_digest, shard.order_digest), :worker, :started_us, :started_ms, :load_milli, :cpu_pressure_milli
FROM shard
WHERE shard.id = :shard_id AND shard.state = 0;
