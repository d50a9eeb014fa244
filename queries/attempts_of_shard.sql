-- How often a shard was tried, and its newest segment; both NULL when never.
-- params:  :shard_id
-- returns: attempt, segment_id
SELECT MAX(attempt) AS attempt, MAX(id) AS segment_id FROM segment WHERE shard_id = :shard_id;
