-- Keeps a signature, unless it is known.
-- params:  :algorithm, :line
-- returns: none
INSERT INTO signature (algorithm, line) VALUES (:algorithm, :line) ON CONFLICT (algorithm, line) DO NOTHING;
