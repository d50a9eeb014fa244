-- Forgets how the tests stood that are not in a JSON list of their rows.
-- params:  :hunt_id, :kept
-- returns: none
DELETE FROM standing
WHERE suite_id = (SELECT suite_id FROM hunt WHERE id = :hunt_id)
  AND test_id NOT IN (SELECT value FROM json_each(:kept));
