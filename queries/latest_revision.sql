-- The newest revision of a suite.
-- params:  :suite_id
-- returns: id, list_id, list_digest, snapshot, environment, git, seen_ms
SELECT revision.id AS id, revision.list_id AS list_id, test_list.digest AS list_digest, revision.snapshot AS snapshot,
       revision.environment AS environment, revision.git AS git, revision.seen_ms AS seen_ms
FROM revision
JOIN suite ON suite.id = revision.suite_id
JOIN test_list ON test_list.id = revision.list_id
WHERE suite.suite_id = :suite_id
ORDER BY revision.id DESC
LIMIT 1;
