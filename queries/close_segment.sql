-- Fills the close columns of an open segment, once.
-- params:  :cpu_us, :digest, :end, :ended_ms, :ended_us, :executed, :exit, :interruption, :log, :oom_kills, :order_differs, :peak_memory, :reason, :recorded, :running_id, :segment_id, :stragglers
-- returns: none
UPDATE segment
SET recorded = :recorded, executed = :executed, digest = :digest, "end" = :end, interruption = :interruption,
    ended_us = :ended_us, ended_ms = :ended_ms, running_id = :running_id, exit = :exit, cpu_us = :cpu_us,
    peak_memory = :peak_memory, oom_kills = :oom_kills, stragglers = :stragglers, order_differs = :order_differs,
    reason = :reason, log = :log
WHERE id = :segment_id AND "end" IS NULL;
