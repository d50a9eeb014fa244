-- The tests of a list by row, in default order.
-- params:  :list_id
-- returns: test_id
SELECT test_id
FROM test_list_entry
WHERE list_id = :list_id
ORDER BY place;
