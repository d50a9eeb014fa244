-- How often a shard was tried; NULL when never.
-- params:  :shard_id
-- returns: attempt
SELECT MAX(attempt) AS attempt FROM segment WHERE shard_id = :shard_id;
