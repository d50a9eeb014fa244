-- One probe by its shard.
-- params:  :shard_id
-- returns: shard_id, hunt_id, revision_id, plan_index, seed, state, place, victim, kind, block, arm, turn, factors, answer, first, levels, died_in, hours, seconds
SELECT probe.shard_id AS shard_id, shard.hunt_id AS hunt_id, iteration.revision_id AS revision_id,
       shard.plan_index AS plan_index, iteration.seed AS seed, shard.state AS state, probe.place AS place,
       victim.name AS victim, probe.kind AS kind, probe.block AS block, probe.arm AS arm, probe.turn AS turn,
       probe.factors AS factors, probe.answer AS answer, probe.first AS first, probe.levels AS levels,
       died.name AS died_in, probe.hours AS hours, probe.seconds AS seconds
FROM probe
JOIN shard ON shard.id = probe.shard_id
JOIN iteration ON iteration.id = shard.iteration_id
JOIN test AS victim ON victim.id = probe.victim_id
LEFT JOIN test AS died ON died.id = probe.died_in
WHERE probe.shard_id = :shard_id;
