-- Tests and results of a segment by position: the only columns of ten million rows, read in this order.
-- params:  :segment_id
-- returns: test_id, result
SELECT test_id, result FROM trial WHERE segment_id = :segment_id ORDER BY position;
