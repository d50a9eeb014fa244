-- The first schema. Times: *_ms are wall-clock labels (milliseconds since 1970 UTC), *_us are
-- microseconds of the monotonic clock of one boot. Codes are spelled out in the table `word`.
-- Rows are only added. What may change afterwards: states, heartbeats, the close columns of a segment
-- (once), and the roll-ups `tally` and `progress`, which can be rebuilt from `trial`.

CREATE TABLE store (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    database_id INTEGER NOT NULL CHECK (database_id BETWEEN 0 AND 1073741823),  -- 30 random bits, for tokens
    created_ms  INTEGER NOT NULL
) STRICT;

-- What the codes of the other tables mean, for readers without the program.
CREATE TABLE word (
    kind TEXT NOT NULL,
    code INTEGER NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

INSERT INTO word (kind, code, word) VALUES
    ('outcome', 0, 'passed'), ('outcome', 1, 'failed'), ('outcome', 2, 'error'), ('outcome', 3, 'timeout'),
    ('outcome', 4, 'crashed'), ('outcome', 5, 'oom'), ('outcome', 6, 'skipped'), ('outcome', 7, 'aborted'),
    ('outcome', 8, 'lost'), ('outcome', 9, 'infra'), ('outcome', 10, 'untrusted'),
    ('segment end', 0, 'completed'), ('segment end', 1, 'timeout'), ('segment end', 2, 'crashed'),
    ('segment end', 3, 'oom'), ('segment end', 4, 'interrupted'), ('segment end', 5, 'infra'),
    ('segment end', 6, 'untrusted'), ('segment end', 7, 'uncollected'),
    ('interruption', 0, 'abort'), ('interruption', 1, 'deadline'), ('interruption', 2, 'hunt-died'),
    ('interruption', 3, 'store'), ('interruption', 4, 'drain-grace'),
    ('design', 0, 'free'), ('design', 1, 'coverage'), ('design', 2, 'reversed'), ('design', 3, 'doubled'),
    ('design', 4, 'natural'), ('design', 5, 'balanced'), ('design', 6, 'given'),
    ('grouping', 0, 'interleaved'), ('grouping', 1, 'module-contiguous'),
    ('hunt kind', 0, 'hunt'), ('hunt kind', 1, 'run'), ('hunt kind', 2, 'replay'),
    ('hunt state', 0, 'running'), ('hunt state', 1, 'draining'), ('hunt state', 2, 'finished'),
    ('hunt state', 3, 'interrupted'), ('hunt state', 4, 'failed'),
    ('shard state', 0, 'planned'), ('shard state', 1, 'finished'), ('shard state', 2, 'abandoned');

CREATE TABLE suite (
    id       INTEGER PRIMARY KEY,
    suite_id INTEGER NOT NULL UNIQUE CHECK (suite_id BETWEEN 0 AND 1073741823),
    name     TEXT NOT NULL,
    runner   TEXT NOT NULL
) STRICT;

CREATE TABLE test (
    id   INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 4096)
) STRICT;

-- A list of tests in default order; revisions whose lists are equal share one.
CREATE TABLE test_list (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE test_list_entry (
    list_id INTEGER NOT NULL REFERENCES test_list (id),
    place   INTEGER NOT NULL CHECK (place >= 0),
    test_id INTEGER NOT NULL REFERENCES test (id),
    PRIMARY KEY (list_id, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (
    id          INTEGER PRIMARY KEY,
    suite_id    INTEGER NOT NULL REFERENCES suite (id),
    list_id     INTEGER NOT NULL REFERENCES test_list (id),
    snapshot    BLOB NOT NULL CHECK (length(snapshot) = 32),     -- of the project's files
    environment BLOB NOT NULL CHECK (length(environment) = 32),  -- of the image and the interpreter
    git         TEXT,
    seen_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX revision_of_suite ON revision (suite_id, id);

CREATE TABLE hunt (
    id          INTEGER PRIMARY KEY,
    suite_id    INTEGER NOT NULL REFERENCES suite (id),
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    master_seed INTEGER NOT NULL,                                -- 64 bits, read as unsigned
    nonce       BLOB NOT NULL CHECK (length(nonce) = 16),
    algorithm   INTEGER NOT NULL CHECK (algorithm > 0),
    config      TEXT NOT NULL CHECK (json_valid(config)),
    started_ms  INTEGER NOT NULL,
    ends_ms     INTEGER,
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 4),
    reason      TEXT,
    ended_ms    INTEGER
) STRICT;
CREATE INDEX hunt_of_suite ON hunt (suite_id, id);

-- One process that drives a hunt. Monotonic times compare within one boot only.
CREATE TABLE lease (
    id           INTEGER PRIMARY KEY,
    hunt_id      INTEGER NOT NULL REFERENCES hunt (id),
    host         TEXT NOT NULL,
    boot_id      TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    tool         TEXT NOT NULL,
    workers      INTEGER NOT NULL CHECK (workers > 0),
    started_ms   INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_of_hunt ON lease (hunt_id, id);

CREATE TABLE iteration (
    id          INTEGER PRIMARY KEY,
    hunt_id     INTEGER NOT NULL REFERENCES hunt (id),
    number      INTEGER NOT NULL CHECK (number >= 0),
    revision_id INTEGER NOT NULL REFERENCES revision (id),
    seed        INTEGER NOT NULL,                                -- 64 bits, read as unsigned
    algorithm   INTEGER NOT NULL CHECK (algorithm > 0),
    design      INTEGER NOT NULL CHECK (design BETWEEN 0 AND 6),
    shards      INTEGER NOT NULL CHECK (shards > 0),
    grouping    INTEGER NOT NULL CHECK (grouping BETWEEN 0 AND 1),
    class       INTEGER NOT NULL CHECK (class >= 0),
    drawn_with  REAL NOT NULL CHECK (drawn_with BETWEEN 0 AND 1),
    UNIQUE (hunt_id, number)
) STRICT;
CREATE INDEX iteration_of_seed ON iteration (seed);

CREATE TABLE shard (
    id           INTEGER PRIMARY KEY,
    iteration_id INTEGER NOT NULL REFERENCES iteration (id),
    hunt_id      INTEGER NOT NULL REFERENCES hunt (id),
    plan_index   INTEGER NOT NULL CHECK (plan_index >= 0),
    number       INTEGER NOT NULL CHECK (number >= 0),
    trials       INTEGER NOT NULL CHECK (trials >= 0),
    order_digest BLOB NOT NULL CHECK (length(order_digest) = 32),
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    UNIQUE (hunt_id, plan_index),
    UNIQUE (iteration_id, number)
) STRICT;
CREATE INDEX shard_open ON shard (hunt_id, plan_index, iteration_id) WHERE state = 0;
CREATE INDEX shard_abandoned ON shard (hunt_id) WHERE state = 2;

-- The order itself, where it is no function of the seed.
CREATE TABLE shard_order (
    shard_id INTEGER NOT NULL REFERENCES shard (id),
    place    INTEGER NOT NULL CHECK (place >= 0),
    test_id  INTEGER NOT NULL REFERENCES test (id),
    PRIMARY KEY (shard_id, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE shard_factor (
    shard_id   INTEGER NOT NULL REFERENCES shard (id),
    factor     TEXT NOT NULL,
    level      TEXT NOT NULL,
    drawn_with REAL NOT NULL CHECK (drawn_with BETWEEN 0 AND 1),
    PRIMARY KEY (shard_id, factor)
) STRICT, WITHOUT ROWID;

CREATE TABLE segment (
    id                 INTEGER PRIMARY KEY,
    shard_id           INTEGER NOT NULL REFERENCES shard (id),
    lease_id           INTEGER NOT NULL REFERENCES lease (id),
    attempt            INTEGER NOT NULL CHECK (attempt > 0),
    parent_id          INTEGER REFERENCES segment (id),
    cut                INTEGER CHECK (cut >= 0),
    cause              INTEGER CHECK (cause BETWEEN 0 AND 7),
    trials             INTEGER NOT NULL CHECK (trials >= 0),     -- asked for
    order_digest       BLOB CHECK (length(order_digest) = 32),   -- NULL: the shard's
    worker             INTEGER NOT NULL CHECK (worker >= 0),
    started_us         INTEGER NOT NULL,
    started_ms         INTEGER NOT NULL,
    load_milli         INTEGER CHECK (load_milli >= 0),
    cpu_pressure_milli INTEGER CHECK (cpu_pressure_milli >= 0),
    tallied            INTEGER NOT NULL DEFAULT 0 CHECK (tallied IN (0, 1)),
    -- From here on NULL until it closes.
    recorded           INTEGER CHECK (recorded BETWEEN 0 AND trials),
    executed           INTEGER CHECK (executed BETWEEN 0 AND recorded),  -- trials that started
    digest             BLOB CHECK (length(digest) = 16),         -- of its rows, see `db check`
    "end"              INTEGER CHECK ("end" BETWEEN 0 AND 7),
    interruption       INTEGER CHECK (interruption BETWEEN 0 AND 4),
    ended_us           INTEGER,
    ended_ms           INTEGER,
    running_id         INTEGER REFERENCES test (id),
    exit               INTEGER,
    cpu_us             INTEGER CHECK (cpu_us >= 0),
    peak_memory        INTEGER CHECK (peak_memory >= 0),
    oom_kills          INTEGER CHECK (oom_kills >= 0),
    stragglers         INTEGER CHECK (stragglers >= 0),
    order_differs      INTEGER CHECK (order_differs IN (0, 1)),
    reason             TEXT,
    log                TEXT,
    CHECK ((parent_id IS NULL) = (cut IS NULL) AND (parent_id IS NULL) = (cause IS NULL)),
    CHECK (("end" IS NULL) = (recorded IS NULL) AND ("end" IS NULL) = (executed IS NULL)
        AND ("end" IS NULL) = (digest IS NULL) AND ("end" IS NULL) = (ended_us IS NULL)
        AND ("end" IS NULL) = (ended_ms IS NULL) AND ("end" IS NULL) = (order_differs IS NULL)),
    CHECK (interruption IS NULL OR "end" = 4),
    CHECK (tallied = 0 OR "end" IS NOT NULL)
) STRICT;
CREATE INDEX segment_of_shard ON segment (shard_id, id);
-- Always few, which the planner cannot know: queries that start here join the rest by CROSS JOIN, which
-- keeps the order of the tables.
CREATE INDEX segment_fresh ON segment (id) WHERE tallied = 0;

CREATE TABLE segment_beside (
    segment_id INTEGER NOT NULL REFERENCES segment (id),
    beside_id  INTEGER NOT NULL REFERENCES segment (id),
    PRIMARY KEY (segment_id, beside_id)
) STRICT, WITHOUT ROWID;

-- Outcomes of open segments, one row per group commit; becomes `trial` and `timing` when the segment
-- closes. Written at once, `trial` is filled in key order and keeps its pages full.
-- batch: per trial a varint test id, a byte that is the result as in `trial`, and the two varints of `timing`.
CREATE TABLE journal (
    segment_id INTEGER NOT NULL REFERENCES segment (id),
    first      INTEGER NOT NULL CHECK (first >= 0),              -- position of the first trial in it
    batch      BLOB NOT NULL,
    PRIMARY KEY (segment_id, first)
) STRICT, WITHOUT ROWID;

-- result: outcome + 16 * (rep - 1). It is 0 for nearly all, which takes no byte in a row.
CREATE TABLE trial (
    segment_id INTEGER NOT NULL REFERENCES segment (id),
    position   INTEGER NOT NULL CHECK (position >= 0),
    test_id    INTEGER NOT NULL REFERENCES test (id),
    result     INTEGER NOT NULL CHECK (result BETWEEN 0 AND 255 AND result & 15 <= 10),
    outcome    INTEGER GENERATED ALWAYS AS (result & 15) VIRTUAL,
    rep        INTEGER GENERATED ALWAYS AS ((result >> 4) + 1) VIRTUAL,
    PRIMARY KEY (segment_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX trial_failing ON trial (test_id, segment_id) WHERE outcome BETWEEN 1 AND 5;

-- Starts and durations of a closed segment, by position. Per trial two varints (little-endian base 128):
-- 0, or 1 + zigzag of the start minus the previous end (at first: the segment's start), in microseconds;
-- then 0, or 1 + the duration in microseconds. 0 stands for unknown. A trial ends at its start plus its
-- duration, where it has them; one without a start moves nothing.
CREATE TABLE timing (
    segment_id INTEGER PRIMARY KEY REFERENCES segment (id),
    trials     BLOB NOT NULL
) STRICT;

-- Failure texts and skip reasons, each kept once.
CREATE TABLE text (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 16),
    body   BLOB NOT NULL CHECK (length(body) <= 16384)
) STRICT;

-- What makes two failures alike, by one version of the algorithm that says so.
CREATE TABLE signature (
    id        INTEGER PRIMARY KEY,
    algorithm INTEGER NOT NULL CHECK (algorithm > 0),
    line      TEXT NOT NULL,
    UNIQUE (algorithm, line)
) STRICT;

CREATE TABLE detail (
    segment_id   INTEGER NOT NULL REFERENCES segment (id),
    position     INTEGER NOT NULL CHECK (position >= 0),
    text_id      INTEGER NOT NULL REFERENCES text (id),
    signature_id INTEGER REFERENCES signature (id),              -- NULL: no failure
    PRIMARY KEY (segment_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    hunt_id INTEGER REFERENCES hunt (id),
    at_ms   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    facts   TEXT NOT NULL CHECK (json_valid(facts))
) STRICT;
CREATE INDEX event_of_hunt ON event (hunt_id, id);

-- Roll-up of the segments with tallied = 1; the others are few and counted directly.
CREATE TABLE tally (
    hunt_id INTEGER NOT NULL REFERENCES hunt (id),
    test_id INTEGER NOT NULL REFERENCES test (id),
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 10),
    trials  INTEGER NOT NULL CHECK (trials > 0),
    PRIMARY KEY (hunt_id, test_id, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
    hunt_id    INTEGER PRIMARY KEY REFERENCES hunt (id),
    segments   INTEGER NOT NULL CHECK (segments >= 0),
    executions INTEGER NOT NULL CHECK (executions >= 0)
) STRICT;

-- For the sqlite3 shell: every trial of a closed segment in words.
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
