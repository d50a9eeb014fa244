-- One group commit of an open segment.
-- params:  :batch, :first, :segment_id
-- returns: none
INSERT INTO journal (segment_id, first, batch) VALUES (:segment_id, :first, :batch);
