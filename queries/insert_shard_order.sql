-- One test of an order that is no function of the seed.
-- params:  :place, :process, :rep, :shard_id, :test_id
-- returns: none
INSERT INTO shard_order (shard_id, place, test_id, rep, process) VALUES (:shard_id, :place, :test_id, :rep, :process);
