-- One outcome.
-- params:  :outcome, :position, :rep, :segment_id, :test_id
-- returns: none
INSERT INTO trial (segment_id, position, test_id, rep, outcome) VALUES (:segment_id, :position, :test_id, :rep, :outcome);
