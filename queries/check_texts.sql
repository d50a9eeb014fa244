-- Every text with the digest it must have.
-- params:  none
-- returns: id, digest, body
SELECT id, digest, body FROM text ORDER BY id;
