-- Finished shards and how many trials they must answer.
-- params:  none
-- returns: id, trials
SELECT id, trials FROM shard WHERE state = 1 ORDER BY id;
