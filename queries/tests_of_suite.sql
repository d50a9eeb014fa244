-- Every test that any revision of a suite listed, by name.
-- params:  :suite_id
-- returns: name
SELECT DISTINCT test.name AS name
FROM suite
JOIN revision ON revision.suite_id = suite.id
JOIN test_list_entry ON test_list_entry.list_id = revision.list_id
JOIN test ON test.id = test_list_entry.test_id
WHERE suite.suite_id = :suite_id
ORDER BY test.name;
