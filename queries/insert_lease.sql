-- A process that begins to drive a hunt.
-- params:  :at_ms, :boot_id, :host, :hunt_id, :pid, :tool, :workers
-- returns: none
INSERT INTO lease (hunt_id, host, boot_id, pid, tool, workers, started_ms, heartbeat_ms)
VALUES (:hunt_id, :host, :boot_id, :pid, :tool, :workers, :at_ms, :at_ms);
