-- What the container of a probe left behind, in the order of the list; of a shard that ran again, the last time.
-- params:  :shard_id
-- returns: path
SELECT file.value AS path
FROM event, json_each(event.facts, '$.files') AS file
WHERE event.id = (SELECT max(id) FROM event
                  WHERE kind = 'files left' AND json_extract(facts, '$.shard') = :shard_id)
ORDER BY file.key;
