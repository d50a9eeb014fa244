-- What the digest of a segment is made from; the digests of texts are recomputed from their bodies.
-- params:  :segment_id
-- returns: position, test_id, rep, outcome, text_digest
SELECT trial.position AS position, trial.test_id AS test_id, trial.rep AS rep, trial.outcome AS outcome,
       text.digest AS text_digest
FROM trial
LEFT JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
LEFT JOIN text ON text.id = detail.text_id
WHERE trial.segment_id = :segment_id
ORDER BY trial.position;
