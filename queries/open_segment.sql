-- Start of a segment that is open; no row when it is not.
-- params:  :segment_id
-- returns: started_us
SELECT started_us FROM segment WHERE id = :segment_id AND "end" IS NULL;
