-- Text and signature of one trial; no signature for what is no failure.
-- params:  :algorithm, :digest, :line, :position, :segment_id
-- returns: none
INSERT INTO detail (segment_id, position, text_id, signature_id)
VALUES (:segment_id, :position, (SELECT id FROM text WHERE digest = :digest),
        (SELECT id FROM signature WHERE algorithm = :algorithm AND line = :line));
