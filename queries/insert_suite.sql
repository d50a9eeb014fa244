-- Keeps a suite, unless it is known.
-- params:  :name, :runner, :suite_id
-- returns: none
INSERT INTO suite (suite_id, name, runner) VALUES (:suite_id, :name, :runner) ON CONFLICT (suite_id) DO NOTHING;
