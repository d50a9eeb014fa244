-- Every closed segment with what its rows must add up to.
-- params:  none
-- returns: id, recorded, digest
SELECT id, recorded, digest FROM segment WHERE "end" IS NOT NULL ORDER BY id;
