-- The 30 bits that tell this database from others.
-- params:  none
-- returns: database_id
SELECT database_id FROM store WHERE id = 1;
