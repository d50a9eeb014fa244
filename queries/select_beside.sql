-- Segments that ran on other workers when this one started.
-- params:  :segment_id
-- returns: beside_id
SELECT beside_id FROM segment_beside WHERE segment_id = :segment_id ORDER BY beside_id;
