//! The list of all SQL statements, and the one way to run them.
//!
//! Every statement takes named values only; [`Query::prepare`] compares their number with what the
//! statement wants, because a forgotten name would be NULL, or the previous row's value.

use rusqlite::{CachedStatement, Connection, Row, ToSql};

use super::StoreError;

/// Values for a statement, by name with its colon.
pub(super) type Values<'a> = &'a [(&'a str, &'a dyn ToSql)];

/// One file under `queries/`; the name appears in errors.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

impl Query {
    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::query(self.name, error)
    }

    fn prepare<'c>(
        &self,
        connection: &'c Connection,
        given: usize,
    ) -> Result<CachedStatement<'c>, StoreError> {
        let statement = connection
            .prepare_cached(self.text)
            .map_err(|e| self.wrap(e))?;
        let wanted = statement.parameter_count();
        if wanted != given {
            return Err(StoreError::Binding {
                query: self.name,
                wanted,
                given,
            });
        }
        Ok(statement)
    }

    /// Runs a statement that writes, and returns how many rows it changed.
    pub(super) fn run(&self, connection: &Connection, values: Values) -> Result<usize, StoreError> {
        self.prepare(connection, values.len())?
            .execute(values)
            .map_err(|e| self.wrap(e))
    }

    /// Runs a statement that writes once per row of numbers, all of them bound each time. Worth it for
    /// thousands of rows: looking up the statement and its names costs as much as the writing.
    pub(super) fn run_each<const N: usize>(
        &self,
        connection: &Connection,
        names: [&str; N],
        rows: impl Iterator<Item = [i64; N]>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare(connection, N)?;
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let found = statement.parameter_index(name).map_err(|e| self.wrap(e))?;
            *place = found
                .ok_or_else(|| self.wrap(rusqlite::Error::InvalidParameterName(name.to_owned())))?;
        }
        for row in rows {
            let bound = places
                .iter()
                .zip(row)
                .try_for_each(|(place, value)| statement.raw_bind_parameter(*place, value));
            bound
                .and_then(|()| statement.raw_execute())
                .map_err(|e| self.wrap(e))?;
        }
        Ok(())
    }

    /// Runs an `INSERT` of one row, and returns the row's id.
    pub(super) fn insert(
        &self,
        connection: &Connection,
        values: Values,
    ) -> Result<i64, StoreError> {
        self.run(connection, values)?;
        Ok(connection.last_insert_rowid())
    }

    /// Returns the first row, if there is one.
    pub(super) fn first<T>(
        &self,
        connection: &Connection,
        values: Values,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare(connection, values.len())?;
        match statement.query_row(values, read) {
            Ok(row) => Ok(Some(row)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(e) => Err(self.wrap(e)),
        }
    }

    /// Returns the only row of a statement that always has one.
    pub(super) fn only<T>(
        &self,
        connection: &Connection,
        values: Values,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let row = self.first(connection, values, read)?;
        row.ok_or_else(|| self.wrap(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Returns every row, in the statement's order.
    pub(super) fn all<T>(
        &self,
        connection: &Connection,
        values: Values,
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare(connection, values.len())?;
        let rows = statement
            .query_map(values, read)
            .map_err(|e| self.wrap(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))
    }
}

macro_rules! queries {
    ($($constant:ident = $name:literal),+ $(,)?) => {
        $(pub(super) const $constant: Query = Query {
            name: $name,
            text: include_str!(concat!("../../queries/", $name, ".sql")),
        };)+

        #[cfg(test)]
        pub(super) const ALL: &[Query] = &[$($constant),+];
    };
}

queries! {
    ANSWER_PROBE = "answer_probe",
    ANSWER_SHARD = "answer_shard",
    ATTEMPTS_OF_SHARD = "attempts_of_shard",
    BARE_TRIALS = "bare_trials",
    CHECK_FLAGS = "check_flags",
    CHECK_ORPHANS = "check_orphans",
    CHECK_ROWS = "check_rows",
    CHECK_SEGMENTS = "check_segments",
    CHECK_SHARDS = "check_shards",
    CHECK_TALLY = "check_tally",
    CHECK_TEXTS = "check_texts",
    CLOSE_SEGMENT = "close_segment",
    CLOSE_SHARD = "close_shard",
    COMPLETE_SEGMENTS = "complete_segments",
    COUNT_ATTEMPTS = "count_attempts",
    COUNT_FAILING_TESTS = "count_failing_tests",
    COUNT_FAILURES = "count_failures",
    COUNT_ITERATIONS = "count_iterations",
    COUNT_OUTCOMES = "count_outcomes",
    COUNT_OUTCOMES_OF_TEST = "count_outcomes_of_test",
    COUNT_PROGRESS = "count_progress",
    COUNT_QUESTIONS = "count_questions",
    COUNT_SHARDS = "count_shards",
    COUNT_SOAK = "count_soak",
    COUNT_TESTS = "count_tests",
    DELETE_JOURNAL = "delete_journal",
    DELETE_STANDINGS = "delete_standings",
    FAILURES_OF_TEST = "failures_of_test",
    FILES_LEFT = "files_left",
    FIND_QUESTION = "find_question",
    FIND_REVISION = "find_revision",
    FIND_SHARDS = "find_shards",
    FIND_UNANSWERED = "find_unanswered",
    FINISHED_OF_SHARD = "finished_of_shard",
    FINISHED_SHARDS = "finished_shards",
    FIRST_SEEN = "first_seen",
    FLAGS_OF_TEST = "flags_of_test",
    FOLD_PROGRESS = "fold_progress",
    FOLD_TALLY = "fold_tally",
    HUNTS_OF_SUITE = "hunts_of_suite",
    INSERT_BESIDE = "insert_beside",
    INSERT_DETAIL = "insert_detail",
    INSERT_EVENT = "insert_event",
    INSERT_FLAG = "insert_flag",
    INSERT_FLAG_ROLE = "insert_flag_role",
    INSERT_HUNT = "insert_hunt",
    INSERT_ITERATION = "insert_iteration",
    INSERT_JOURNAL = "insert_journal",
    INSERT_LEASE = "insert_lease",
    INSERT_LIST = "insert_list",
    INSERT_LIST_ENTRY = "insert_list_entry",
    INSERT_PROBE = "insert_probe",
    INSERT_PROBE_BESIDE = "insert_probe_beside",
    INSERT_CONCLUSION = "insert_conclusion",
    INSERT_QUESTION = "insert_question",
    INSERT_REVISION = "insert_revision",
    INSERT_SEGMENT = "insert_segment",
    INSERT_SHARD = "insert_shard",
    INSERT_SHARD_FACTOR = "insert_shard_factor",
    INSERT_SHARD_ORDER = "insert_shard_order",
    INSERT_SIGNATURE = "insert_signature",
    INSERT_STORE = "insert_store",
    INSERT_SUITE = "insert_suite",
    INSERT_TEST = "insert_test",
    INSERT_TEXT = "insert_text",
    INSERT_TIMING = "insert_timing",
    INSERT_TRIAL = "insert_trial",
    LAST_FAILURE = "last_failure",
    LATEST_HUNT = "latest_hunt",
    LATEST_LEASE = "latest_lease",
    LATEST_REVISION = "latest_revision",
    LEFT_OPEN = "left_open",
    MARK_TALLIED = "mark_tallied",
    NATURAL_FAILING = "natural_failing",
    NATURAL_FAILURES = "natural_failures",
    NEXT_PROBE_ITERATION = "next_probe_iteration",
    OBSERVED_HUNTS = "observed_hunts",
    OBSERVED_SEGMENTS = "observed_segments",
    OBSERVED_SHARDS = "observed_shards",
    OPEN_SEGMENT = "open_segment",
    OPEN_SEGMENTS = "open_segments",
    OPEN_SHARDS = "open_shards",
    PARENT_OF_SHARD = "parent_of_shard",
    PLAIN_TRIALS = "plain_trials",
    QUESTIONS_OF_TEST = "questions_of_test",
    RECENT_SEGMENTS = "recent_segments",
    REPORT_FAILURE = "report_failure",
    REPORT_FLAGS = "report_flags",
    REPORT_LIST = "report_list",
    REPORT_REVISIONS = "report_revisions",
    REPORT_SEGMENTS = "report_segments",
    REPORT_SIGNATURES = "report_signatures",
    RESUME_HUNT = "resume_hunt",
    SEGMENTS_OF_SHARD = "segments_of_shard",
    SELECT_ANALYSIS = "select_analysis",
    SELECT_BESIDE = "select_beside",
    SELECT_DETAIL_DIGEST = "select_detail_digest",
    SELECT_EVENTS = "select_events",
    SELECT_FLAGS = "select_flags",
    SELECT_HUNT = "select_hunt",
    SELECT_JOURNAL = "select_journal",
    SELECT_LIST = "select_list",
    SELECT_LIST_ENTRIES = "select_list_entries",
    SELECT_PROBE = "select_probe",
    SELECT_PROBE_BESIDE = "select_probe_beside",
    SELECT_PROBES = "select_probes",
    SELECT_QUESTIONS = "select_questions",
    SELECT_REVISION = "select_revision",
    SELECT_SEGMENT = "select_segment",
    SELECT_SHARD = "select_shard",
    SELECT_SHARD_FACTORS = "select_shard_factors",
    SELECT_SHARD_ORDER = "select_shard_order",
    SELECT_STANDING = "select_standing",
    SELECT_STORE = "select_store",
    SELECT_SUITE = "select_suite",
    SELECT_TEST = "select_test",
    SELECT_TEST_NAME = "select_test_name",
    SELECT_TIMING = "select_timing",
    SELECT_TRIALS = "select_trials",
    SET_ANALYSIS = "set_analysis",
    SET_ANSWER = "set_answer",
    SET_HUNT_STATE = "set_hunt_state",
    SET_STANDING = "set_standing",
    SIZE_OF_ITERATION = "size_of_iteration",
    TESTS_OF_SUITE = "tests_of_suite",
    TOUCH_LEASE = "touch_lease",
}

/// The steps from an empty file to the newest schema; step i makes version i + 1. Never edited after release.
pub(super) const STEPS: &[&str] = &[
    include_str!("../../queries/schema/0001_begin.sql"),
    include_str!("../../queries/schema/0002_probes.sql"),
    include_str!("../../queries/schema/0003_fixed.sql"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn fresh() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let stable = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
        connection.set_db_config(stable, true).unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        connection
    }

    fn header<'q>(query: &'q Query, field: &str) -> Vec<&'q str> {
        let prefix = format!("-- {field}");
        let line = query
            .text
            .lines()
            .find_map(|l| l.strip_prefix(prefix.as_str()));
        let line = line.unwrap_or_else(|| panic!("{} has no `{field}`", query.name));
        line.split(',')
            .map(str::trim)
            .filter(|word| *word != "none")
            .collect()
    }

    #[test]
    fn every_file_is_listed_and_every_listed_query_is_a_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/queries");
        let on_disk: BTreeSet<_> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|f| {
                f.unwrap()
                    .file_name()
                    .into_string()
                    .unwrap()
                    .strip_suffix(".sql")
                    .map(str::to_owned)
            })
            .collect();
        let listed: BTreeSet<_> = ALL.iter().map(|q| q.name.to_owned()).collect();
        assert_eq!(on_disk, listed);
        assert_eq!(
            std::fs::read_dir(format!("{folder}/schema"))
                .unwrap()
                .count(),
            STEPS.len()
        );
    }

    #[test]
    fn every_header_tells_the_truth() {
        let connection = fresh();
        for query in ALL {
            let statement = connection
                .prepare(query.text)
                .unwrap_or_else(|e| panic!("{}: {e}", query.name));
            assert!(
                query.text.lines().next().unwrap().ends_with('.'),
                "{} opens with no sentence",
                query.name
            );
            let mut takes: Vec<_> = (1..=statement.parameter_count())
                .map(|i| statement.parameter_name(i).unwrap())
                .collect();
            takes.sort_unstable();
            assert_eq!(header(query, "params:"), takes, "{}", query.name);
            let gives: Vec<_> = statement.column_names().collect();
            assert_eq!(header(query, "returns:"), gives, "{}", query.name);
            let writes = [
                "insert", "delete", "touch", "set", "resume", "close", "fold", "mark",
            ];
            let writes = writes.contains(&query.name.split('_').next().unwrap());
            assert_eq!(statement.readonly(), !writes, "{}", query.name);
        }
    }

    fn plan(connection: &Connection, query: &Query) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {}", query.text);
        let mut statement = connection.prepare(&explain).unwrap();
        let lines = statement.raw_query().mapped(|row| row.get("detail"));
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_not_tallied_is_found_without_going_through_a_hunt() {
        let connection = fresh();
        let fresh = |q: &&Query| q.text.contains("tallied = 0") && !q.name.starts_with("check_");
        for query in ALL.iter().filter(fresh) {
            let plan = plan(&connection, query);
            let direct = plan
                .iter()
                .any(|l| l.contains("segment USING INDEX segment_fresh"));
            assert!(direct, "{}: {plan:#?}", query.name);
        }
    }

    #[test]
    fn no_query_but_the_check_scans_what_grows_with_every_trial() {
        let connection = fresh();
        for query in ALL.iter().filter(|q| !q.name.starts_with("check_")) {
            let plan = plan(&connection, query);
            for table in ["trial", "timing", "detail", "text", "journal"] {
                let scan = format!("SCAN {table}");
                let scans = plan
                    .iter()
                    .any(|l| *l == scan || l.starts_with(&format!("{scan} ")));
                assert!(!scans, "{} scans {table}: {plan:#?}", query.name);
            }
        }
    }

    #[test]
    fn a_forgotten_value_is_an_error_and_not_null() {
        let connection = fresh();
        let error = INSERT_STORE
            .run(&connection, &[(":database_id", &1)])
            .unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Binding {
                    wanted: 2,
                    given: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}
