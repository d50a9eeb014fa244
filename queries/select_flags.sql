-- The newest flag of each test of a suite, raised at a time or later; of those about no test the newest of each hunt.
-- params:  :since_ms, :suite_id
-- returns: id, test_id, hunt_id, revision_id, at_ms, body, token
SELECT flag.id AS id, flag.test_id AS test_id, flag.hunt_id AS hunt_id, flag.revision_id AS revision_id,
       flag.at_ms AS at_ms, flag.body AS body, flag.token AS token
FROM suite
JOIN flag ON flag.suite_id = suite.id
WHERE suite.suite_id = :suite_id AND flag.at_ms >= :since_ms
  AND NOT EXISTS (SELECT 1 FROM flag AS newer
                  WHERE newer.suite_id = flag.suite_id AND newer.test_id IS flag.test_id AND newer.id > flag.id
                    AND (flag.test_id IS NOT NULL OR newer.hunt_id = flag.hunt_id))
ORDER BY flag.id;
