-- Probes, questions and flags. A probe is a shard of an iteration of its own with design 7, whose number counts
-- downwards from -1, so that the numbers of all others stay what their plan says. Probes share the plan indexes of
-- their hunt, and are in no tally.
-- Rows are only added. What may change afterwards: the answer columns of a probe (once), and `analysis` and
-- `standing`, which can be rebuilt.

INSERT INTO word (kind, code, word) VALUES
    ('design', 7, 'probe'),
    ('verdict', 0, 'infrastructure'), ('verdict', 1, 'broken'), ('verdict', 2, 'environment'), ('verdict', 3, 'nio'),
    ('verdict', 4, 'od-victim'), ('verdict', 5, 'od-brittle'), ('verdict', 6, 'interference'), ('verdict', 7, 'position'),
    ('verdict', 8, 'ndod'), ('verdict', 9, 'nod'), ('verdict', 10, 'undetermined'),
    ('role', 0, 'polluter'), ('role', 1, 'state-setter'), ('role', 2, 'cleaner'), ('role', 3, 'neighbour'),
    ('reach', 0, 'process'), ('reach', 1, 'container'), ('reach', 2, 'host'),
    ('question', 0, 'isolate'), ('question', 1, 'search'), ('question', 2, 'reduce'), ('question', 3, 'polluter'),
    ('question', 4, 'state-setter'), ('question', 5, 'cleaner'), ('question', 6, 'twice'), ('question', 7, 'environment'),
    ('question', 8, 'interference'), ('question', 9, 'position'), ('question', 10, 'separate'), ('question', 11, 'minimal'),
    ('question', 12, 'locate'), ('question', 13, 'repeat'),
    ('arm', 0, 'single'), ('arm', 1, 'treated'), ('arm', 2, 'decoy'), ('arm', 3, 'alone'),
    ('answer', 0, 'passed'), ('answer', 1, 'failed'), ('answer', 2, 'void');

-- `iteration` with another design and other numbers; nothing else differs. Views are made anew because they name it.
DROP VIEW trials;
DROP VIEW segments;

CREATE TABLE iteration_2 (
    id          INTEGER PRIMARY KEY,
    hunt_id     INTEGER NOT NULL REFERENCES hunt (id),
    number      INTEGER NOT NULL,                                -- below 0 for probes
    revision_id INTEGER NOT NULL REFERENCES revision (id),
    seed        INTEGER NOT NULL,                                -- 64 bits, read as unsigned
    algorithm   INTEGER NOT NULL CHECK (algorithm > 0),
    design      INTEGER NOT NULL CHECK (design BETWEEN 0 AND 7),
    shards      INTEGER NOT NULL CHECK (shards > 0),
    grouping    INTEGER NOT NULL CHECK (grouping BETWEEN 0 AND 1),
    class       INTEGER NOT NULL CHECK (class >= 0),
    drawn_with  REAL NOT NULL CHECK (drawn_with BETWEEN 0 AND 1),
    UNIQUE (hunt_id, number),
    CHECK ((design = 7) = (number < 0))
) STRICT;
INSERT INTO iteration_2 (id, hunt_id, number, revision_id, seed, algorithm, design, shards, grouping, class, drawn_with)
SELECT id, hunt_id, number, revision_id, seed, algorithm, design, shards, grouping, class, drawn_with FROM iteration ORDER BY id;
DROP TABLE iteration;
ALTER TABLE iteration_2 RENAME TO iteration;
CREATE INDEX iteration_of_seed ON iteration (seed);

-- An explicit order may repeat a test, and run in several processes of one container, one after the other.
ALTER TABLE shard_order ADD COLUMN rep INTEGER NOT NULL DEFAULT 1 CHECK (rep BETWEEN 1 AND 16);
ALTER TABLE shard_order ADD COLUMN process INTEGER NOT NULL DEFAULT 0 CHECK (process >= 0);

-- `executions` counts every test that was started, those of probes too; `segments` those of no probe;
-- `probe_trials` what passed or failed in probes.
ALTER TABLE progress ADD COLUMN probe_trials INTEGER NOT NULL DEFAULT 0 CHECK (probe_trials >= 0);

-- What one test is asked about, as it was when it was opened. With this and the answers to its probes it goes on
-- where it was.
CREATE TABLE question (
    id          INTEGER PRIMARY KEY,
    suite_id    INTEGER NOT NULL REFERENCES suite (id),
    number      INTEGER NOT NULL CHECK (number >= 0),            -- from 0 within the suite, without gaps
    hunt_id     INTEGER NOT NULL REFERENCES hunt (id),           -- that opened it; any later one may go on
    revision_id INTEGER NOT NULL REFERENCES revision (id),
    victim_id   INTEGER NOT NULL REFERENCES test (id),
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 13),
    attempt     INTEGER NOT NULL CHECK (attempt IN (0, 1)),      -- does it count as an attempt to certify?
    parameters  TEXT NOT NULL CHECK (json_valid(parameters)),
    opened_ms   INTEGER NOT NULL,
    UNIQUE (suite_id, number)
) STRICT;
CREATE INDEX question_of_victim ON question (victim_id, suite_id);

-- What a question came to, where that does not follow from the answers to its probes alone: `{"found": [names]}`,
-- `"not-found"` or `"impossible"`. It was judged once, by what was known then.
CREATE TABLE conclusion (
    question_id INTEGER PRIMARY KEY REFERENCES question (id),
    body        TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

-- One probe, beside its shard. One that was not answered may be planned again under the same place; the newest
-- is meant.
CREATE TABLE probe (
    shard_id    INTEGER PRIMARY KEY REFERENCES shard (id),
    question_id INTEGER NOT NULL REFERENCES question (id),
    place       INTEGER NOT NULL CHECK (place >= 0),             -- among all probes of its question
    victim_id   INTEGER NOT NULL REFERENCES test (id),
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 13),
    block       INTEGER CHECK (block >= 0),
    arm         INTEGER NOT NULL CHECK (arm BETWEEN 0 AND 3),
    turn        INTEGER NOT NULL CHECK (turn BETWEEN 0 AND 255),
    factors     TEXT NOT NULL CHECK (json_valid(factors)),       -- levels that are fixed: [[name, level], ...]
    -- From here on NULL until it is answered.
    answer      INTEGER CHECK (answer BETWEEN 0 AND 2),
    first       INTEGER CHECK (first BETWEEN 0 AND 2),           -- the victim's first trial, where it ran twice
    levels      TEXT CHECK (json_valid(levels)),                 -- of all factors: [[name, level], ...]
    died_in     INTEGER REFERENCES test (id),
    hours       REAL,
    seconds     REAL,
    CHECK ((answer IS NULL) = (levels IS NULL) AND (answer IS NULL) = (hours IS NULL) AND (answer IS NULL) = (seconds IS NULL)),
    CHECK (answer IS NOT NULL OR (first IS NULL AND died_in IS NULL))
) STRICT;
CREATE INDEX probe_of_question ON probe (question_id, place, shard_id);
CREATE UNIQUE INDEX probe_answered ON probe (question_id, place) WHERE answer IS NOT NULL;

-- Tests that run over and over in another container meanwhile.
CREATE TABLE probe_beside (
    shard_id INTEGER NOT NULL REFERENCES probe (shard_id),
    place    INTEGER NOT NULL CHECK (place >= 0),
    test_id  INTEGER NOT NULL REFERENCES test (id),
    PRIMARY KEY (shard_id, place)
) STRICT, WITHOUT ROWID;

-- Claims, each as it was raised; the newest of a test is the one that holds.
CREATE TABLE flag (
    id          INTEGER PRIMARY KEY,
    suite_id    INTEGER NOT NULL REFERENCES suite (id),
    test_id     INTEGER REFERENCES test (id),                    -- NULL: about no test
    hunt_id     INTEGER NOT NULL REFERENCES hunt (id),
    revision_id INTEGER NOT NULL REFERENCES revision (id),
    at_ms       INTEGER NOT NULL,
    verdict     INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 10),
    certified   INTEGER NOT NULL CHECK (certified IN (0, 1)),
    ln_e        REAL,
    reach       INTEGER CHECK (reach BETWEEN 0 AND 2),
    body        TEXT NOT NULL CHECK (json_valid(body)),          -- all of it
    token       TEXT                                             -- replays it
) STRICT;
CREATE INDEX flag_of_test ON flag (suite_id, test_id, id);

-- Who has which role in a flag: groups are alternatives, all members of a group are needed, in the order of `place`.
CREATE TABLE flag_role (
    flag_id     INTEGER NOT NULL REFERENCES flag (id),
    alternative INTEGER NOT NULL CHECK (alternative >= 0),
    place       INTEGER NOT NULL CHECK (place >= 0),
    role        INTEGER NOT NULL CHECK (role BETWEEN 0 AND 3),
    test_id     INTEGER NOT NULL REFERENCES test (id),
    PRIMARY KEY (flag_id, alternative, place)
) STRICT, WITHOUT ROWID;

-- How the analysis of a suite stood when it last looked.
CREATE TABLE analysis (
    suite_id      INTEGER PRIMARY KEY REFERENCES suite (id),
    at_ms         INTEGER NOT NULL,
    hunt_id       INTEGER NOT NULL REFERENCES hunt (id),
    iterations    INTEGER NOT NULL CHECK (iterations >= 0),      -- looked at, over all hunts
    attempts      INTEGER NOT NULL CHECK (attempts >= 0),
    pair_coverage REAL NOT NULL CHECK (pair_coverage BETWEEN 0 AND 1),
    canary        TEXT,                                          -- waiting, green or red; NULL: none was run
    canary_why    TEXT,
    suspected     TEXT NOT NULL CHECK (json_valid(suspected))
) STRICT;

-- How the tests stood that were not above suspicion.
CREATE TABLE standing (
    suite_id INTEGER NOT NULL REFERENCES suite (id),
    test_id  INTEGER NOT NULL REFERENCES test (id),
    body     TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (suite_id, test_id)
) STRICT, WITHOUT ROWID;

-- For the sqlite3 shell: every trial of a closed segment in words, those of probes too (their iteration is below 0).
CREATE VIEW trials AS
SELECT shard.hunt_id AS hunt, iteration.number AS iteration, shard.id AS shard, trial.segment_id AS segment,
       trial.position AS position, CAST(test.name AS TEXT) AS test, trial.rep AS rep, word.word AS outcome,
       CAST(text.body AS TEXT) AS detail
FROM trial
JOIN segment ON segment.id = trial.segment_id
JOIN shard ON shard.id = segment.shard_id
JOIN iteration ON iteration.id = shard.iteration_id
JOIN test ON test.id = trial.test_id
JOIN word ON word.kind = 'outcome' AND word.code = trial.outcome
LEFT JOIN detail ON detail.segment_id = trial.segment_id AND detail.position = trial.position
LEFT JOIN text ON text.id = detail.text_id;

-- For the sqlite3 shell: every segment in words.
CREATE VIEW segments AS
SELECT segment.id AS segment, shard.hunt_id AS hunt, iteration.number AS iteration, shard.id AS shard,
       design.word AS design, segment.attempt AS attempt, segment.worker AS worker,
       strftime('%Y-%m-%dT%H:%M:%SZ', segment.started_ms / 1000, 'unixepoch') AS started,
       ending.word AS "end", segment.recorded AS recorded, segment.trials AS asked,
       CAST(running.name AS TEXT) AS running, segment.reason AS reason, segment.log AS log
FROM segment
JOIN shard ON shard.id = segment.shard_id
JOIN iteration ON iteration.id = shard.iteration_id
JOIN word AS design ON design.kind = 'design' AND design.code = iteration.design
LEFT JOIN word AS ending ON ending.kind = 'segment end' AND ending.code = segment."end"
LEFT JOIN test AS running ON running.id = segment.running_id;

-- For the sqlite3 shell: every probe in words, with the order that it asks for. No syntax here is newer than
-- SQLite 3.38: a shell that cannot read one view cannot read the database.
CREATE VIEW probes AS
SELECT question.number AS question, probe.place AS place, probe.shard_id AS shard, CAST(victim.name AS TEXT) AS test,
       kind.word AS asks, probe.block AS block, arm.word AS arm, answer.word AS answer, initial.word AS first,
       CAST(died.name AS TEXT) AS died_in, probe.seconds AS seconds,
       (SELECT group_concat(ordered.name, char(10))
        FROM (SELECT CAST(test.name AS TEXT) AS name
              FROM shard_order JOIN test ON test.id = shard_order.test_id
              WHERE shard_order.shard_id = probe.shard_id
              ORDER BY shard_order.place) AS ordered) AS runs
FROM probe
JOIN question ON question.id = probe.question_id
JOIN test AS victim ON victim.id = probe.victim_id
JOIN word AS kind ON kind.kind = 'question' AND kind.code = probe.kind
JOIN word AS arm ON arm.kind = 'arm' AND arm.code = probe.arm
LEFT JOIN word AS answer ON answer.kind = 'answer' AND answer.code = probe.answer
LEFT JOIN word AS initial ON initial.kind = 'answer' AND initial.code = probe.first
LEFT JOIN test AS died ON died.id = probe.died_in;

-- For the sqlite3 shell: every flag in words, one row for each test that has a role in it.
CREATE VIEW flags AS
SELECT flag.id AS flag, flag.hunt_id AS hunt, strftime('%Y-%m-%dT%H:%M:%SZ', flag.at_ms / 1000, 'unixepoch') AS at,
       CAST(test.name AS TEXT) AS test, verdict.word AS verdict, flag.certified AS certified, role.word AS role,
       flag_role.alternative AS alternative, CAST(other.name AS TEXT) AS other, flag.token AS token
FROM flag
JOIN word AS verdict ON verdict.kind = 'verdict' AND verdict.code = flag.verdict
LEFT JOIN test ON test.id = flag.test_id
LEFT JOIN flag_role ON flag_role.flag_id = flag.id
LEFT JOIN word AS role ON role.kind = 'role' AND role.code = flag_role.role
LEFT JOIN test AS other ON other.id = flag_role.test_id;
