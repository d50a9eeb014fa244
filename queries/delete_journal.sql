-- Drops the batches of a segment whose trials are written.
-- params:  :segment_id
-- returns: none
DELETE FROM journal WHERE segment_id = :segment_id;
