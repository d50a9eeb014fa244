-- Keeps a list of tests; its entries follow.
-- params:  :digest
-- returns: none
INSERT INTO test_list (digest) VALUES (:digest);
