-- Name of a test by its row.
-- params:  :test_id
-- returns: name
SELECT name FROM test WHERE id = :test_id;
