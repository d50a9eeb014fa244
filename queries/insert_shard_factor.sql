-- Level of one environment factor of a shard.
-- params:  :drawn_with, :factor, :level, :shard_id
-- returns: none
INSERT INTO shard_factor (shard_id, factor, level, drawn_with) VALUES (:shard_id, :factor, :level, :drawn_with);
