-- One test of a list, at its place from 0.
-- params:  :list_id, :place, :test_id
-- returns: none
INSERT INTO test_list_entry (list_id, place, test_id) VALUES (:list_id, :place, :test_id);
