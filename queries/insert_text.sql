-- Keeps a text, unless it is known.
-- params:  :body, :digest
-- returns: none
INSERT INTO text (digest, body) VALUES (:digest, :body) ON CONFLICT (digest) DO NOTHING;
