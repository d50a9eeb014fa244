-- Every revision of a suite, oldest first, with its list of tests.
-- params:  :suite_id
-- returns: id, list_id, git, seen_ms
SELECT revision.id AS id, revision.list_id AS list_id, revision.git AS git, revision.seen_ms AS seen_ms
FROM suite
JOIN revision ON revision.suite_id = suite.id
WHERE suite.suite_id = :suite_id
ORDER BY revision.id;
