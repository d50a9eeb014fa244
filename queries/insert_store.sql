-- Says who this database is; once, when it is made.
-- params:  :created_ms, :database_id
-- returns: none
INSERT INTO store (id, database_id, created_ms) VALUES (1, :database_id, :created_ms);
