-- Digest of the text of one trial.
-- params:  :position, :segment_id
-- returns: text_digest
SELECT text.digest AS text_digest
FROM detail
JOIN text ON text.id = detail.text_id
WHERE detail.segment_id = :segment_id AND detail.position = :position;
