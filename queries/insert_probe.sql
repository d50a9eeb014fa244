-- One probe, beside its shard.
-- params:  :arm, :block, :factors, :kind, :place, :question_id, :shard_id, :turn, :victim_id
-- returns: none
INSERT INTO probe (shard_id, question_id, place, victim_id, kind, block, arm, turn, factors)
VALUES (:shard_id, :question_id, :place, :victim_id, :kind, :block, :arm, :turn, :factors);
