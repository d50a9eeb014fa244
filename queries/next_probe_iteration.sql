-- Number of the next iteration of a hunt that holds a probe: they count downwards.
-- params:  :hunt_id
-- returns: number
SELECT MIN(COALESCE(MIN(number), 0), 0) - 1 AS number FROM iteration WHERE hunt_id = :hunt_id;
