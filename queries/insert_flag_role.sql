-- One test that has a role in a flag.
-- params:  :alternative, :flag_id, :place, :role, :test_id
-- returns: none
INSERT INTO flag_role (flag_id, alternative, place, role, test_id) VALUES (:flag_id, :alternative, :place, :role, :test_id);
