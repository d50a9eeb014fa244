-- Row of a suite by its 30 bits.
-- params:  :suite_id
-- returns: id
SELECT id FROM suite WHERE suite_id = :suite_id;
