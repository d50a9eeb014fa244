-- Every closed segment with what its rows must add up to.
-- params:  none
-- returns: id, recorded, digest, trials
SELECT segment.id AS id, segment.recorded AS recorded, segment.digest AS digest, timing.trials AS trials
FROM segment
LEFT JOIN timing ON timing.segment_id = segment.id
WHERE segment."end" IS NOT NULL
ORDER BY segment.id;
