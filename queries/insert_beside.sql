-- A segment that ran on another worker when this one started.
-- params:  :beside_id, :segment_id
-- returns: none
INSERT INTO segment_beside (segment_id, beside_id) VALUES (:segment_id, :beside_id);
