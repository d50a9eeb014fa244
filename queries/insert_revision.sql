-- One state of the suite, its project and its environment.
-- params:  :environment, :git, :list_id, :seen_ms, :snapshot, :suite_id
-- returns: none
INSERT INTO revision (suite_id, list_id, snapshot, environment, git, seen_ms)
VALUES (:suite_id, :list_id, :snapshot, :environment, :git, :seen_ms);
