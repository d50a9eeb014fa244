-- Trials that all shards of an iteration plan, and the plan index of the last of them.
-- params:  :iteration_id
-- returns: trials, last
SELECT SUM(trials) AS trials, MAX(plan_index) AS last FROM shard WHERE iteration_id = :iteration_id;
