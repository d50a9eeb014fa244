-- A hunt that begins.
-- params:  :algorithm, :config, :ends_ms, :kind, :master_seed, :nonce, :started_ms, :suite_id
-- returns: none
INSERT INTO hunt (suite_id, kind, master_seed, nonce, algorithm, config, started_ms, ends_ms)
VALUES (:suite_id, :kind, :master_seed, :nonce, :algorithm, :config, :started_ms, :ends_ms);
