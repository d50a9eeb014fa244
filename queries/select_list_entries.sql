-- Names of a list in its order.
-- params:  :list_id
-- returns: name
SELECT test.name AS name
FROM test_list_entry
JOIN test ON test.id = test_list_entry.test_id
WHERE list_id = :list_id
ORDER BY place;
