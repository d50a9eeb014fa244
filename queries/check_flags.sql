-- Every flag with the test and the verdict that its body must say.
-- params:  none
-- returns: id, name, verdict, body
SELECT flag.id AS id, test.name AS name, flag.verdict AS verdict, flag.body AS body
FROM flag
LEFT JOIN test ON test.id = flag.test_id
ORDER BY flag.id;
