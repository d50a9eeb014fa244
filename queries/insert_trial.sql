-- One outcome, with its repetition.
-- params:  :position, :result, :segment_id, :test_id
-- returns: none
INSERT INTO trial (segment_id, position, test_id, result) VALUES (:segment_id, :position, :test_id, :result);
