-- Packed starts and durations of a segment, and where they count from.
-- params:  :segment_id
-- returns: started_us, trials
SELECT segment.started_us AS started_us, timing.trials AS trials
FROM timing
JOIN segment ON segment.id = timing.segment_id
WHERE timing.segment_id = :segment_id;
