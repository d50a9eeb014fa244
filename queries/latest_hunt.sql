-- The newest hunt of a suite of one kind.
-- params:  :kind, :suite_id
-- returns: id, suite_id, kind, master_seed, nonce, algorithm, config, started_ms, ends_ms, state, reason, ended_ms
SELECT hunt.id AS id, suite.suite_id AS suite_id, hunt.kind AS kind, hunt.master_seed AS master_seed, hunt.nonce AS nonce,
       hunt.algorithm AS algorithm, hunt.config AS config, hunt.started_ms AS started_ms, hunt.ends_ms AS ends_ms,
       hunt.state AS state, hunt.reason AS reason, hunt.ended_ms AS ended_ms
FROM hunt
JOIN suite ON suite.id = hunt.suite_id
WHERE suite.suite_id = :suite_id AND hunt.kind = :kind
ORDER BY hunt.id DESC
LIMIT 1;
