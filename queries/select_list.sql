-- Row of a list by its digest.
-- params:  :digest
-- returns: id
SELECT id FROM test_list WHERE digest = :digest;
