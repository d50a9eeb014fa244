-- Keeps a test name, unless it is known.
-- params:  :name
-- returns: none
INSERT INTO test (name) VALUES (:name) ON CONFLICT (name) DO NOTHING;
