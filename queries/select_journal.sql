-- What an open segment has recorded, batch by batch.
-- params:  :segment_id
-- returns: batch
SELECT batch FROM journal WHERE segment_id = :segment_id ORDER BY first;
