-- Row of a test by its exact name.
-- params:  :name
-- returns: id
SELECT id FROM test WHERE name = :name;
