-- One test of an order that is no function of the seed.
-- params:  :place, :shard_id, :test_id
-- returns: none
INSERT INTO shard_order (shard_id, place, test_id) VALUES (:shard_id, :place, :test_id);
