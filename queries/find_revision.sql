-- The newest revision if it is this one: a state that comes back later is a new revision.
-- params:  :environment, :git, :list_id, :snapshot, :suite_id
-- returns: id
SELECT id
FROM revision
WHERE id = (SELECT MAX(id) FROM revision WHERE suite_id = :suite_id)
  AND list_id = :list_id AND snapshot = :snapshot AND environment = :environment AND git IS :git;
