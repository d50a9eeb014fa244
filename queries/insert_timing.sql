-- Starts and durations of a closed segment.
-- params:  :segment_id, :trials
-- returns: none
INSERT INTO timing (segment_id, trials) VALUES (:segment_id, :trials);
