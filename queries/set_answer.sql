-- What a probe showed, once; nothing when the same place of its question was answered before.
-- params:  :answer, :died_in, :first, :hours, :levels, :seconds, :shard_id
-- returns: none
UPDATE probe
SET answer = :answer, first = :first, levels = :levels, died_in = :died_in, hours = :hours, seconds = :seconds
WHERE shard_id = :shard_id AND answer IS NULL
  AND NOT EXISTS (SELECT 1 FROM probe AS other
                  WHERE other.question_id = probe.question_id AND other.place = probe.place AND other.answer IS NOT NULL);
