-- Ends the folding of what was just folded.
-- params:  none
-- returns: none
UPDATE segment SET tallied = 1 WHERE tallied = 0 AND "end" IS NOT NULL;
