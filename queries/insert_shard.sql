-- A planned shard.
-- params:  :hunt_id, :iteration_id, :number, :order_digest, :plan_index, :trials
-- returns: none
INSERT INTO shard (iteration_id, hunt_id, plan_index, number, trials, order_digest)
VALUES (:iteration_id, :hunt_id, :plan_index, :number, :trials, :order_digest);
