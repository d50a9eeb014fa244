-- How one test of the suite of a hunt stands from now on; nothing when it stood so before.
-- params:  :body, :hunt_id, :test_id
-- returns: none
INSERT INTO standing (suite_id, test_id, body)
SELECT hunt.suite_id, :test_id, :body
FROM hunt
WHERE hunt.id = :hunt_id
ON CONFLICT (suite_id, test_id) DO UPDATE SET body = excluded.body WHERE body <> excluded.body;
