-- How one iteration is cut.
-- params:  :algorithm, :class, :design, :drawn_with, :grouping, :hunt_id, :number, :revision_id, :seed, :shards
-- returns: none
INSERT INTO iteration (hunt_id, number, revision_id, seed, algorithm, design, shards, grouping, class, drawn_with)
VALUES (:hunt_id, :number, :revision_id, :seed, :algorithm, :design, :shards, :grouping, :class, :drawn_with);
