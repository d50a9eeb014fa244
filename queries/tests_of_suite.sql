-- Every test that a suite ever listed, by row.
-- params:  :suite_id
-- returns: id, name
SELECT test.id AS id, test.name AS name
FROM test
WHERE test.id IN (SELECT test_list_entry.test_id
                  FROM suite
                  JOIN revision ON revision.suite_id = suite.id
                  JOIN test_list_entry ON test_list_entry.list_id = revision.list_id
                  WHERE suite.suite_id = :suite_id)
ORDER BY test.id;
