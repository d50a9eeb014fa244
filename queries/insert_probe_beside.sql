-- One test that runs over and over beside a probe.
-- params:  :place, :shard_id, :test_id
-- returns: none
INSERT INTO probe_beside (shard_id, place, test_id) VALUES (:shard_id, :place, :test_id);
