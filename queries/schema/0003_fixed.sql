-- Flagged tests that passed often enough since their last failure, as the analysis found when it last looked for them:
-- a list of objects. It can be rebuilt.
ALTER TABLE analysis ADD COLUMN fixed TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(fixed));
