-- Segments in which a test failed.
-- params:  :test_id
-- returns: segment_id
SELECT segment_id
FROM trial
WHERE test_id = :test_id AND outcome BETWEEN 1 AND 5
ORDER BY segment_id;
