//! The options of the bench: a few numbers.

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The command and its words.
    pub(crate) words: Vec<String>,
    pub(crate) tests: Option<u32>,
    pub(crate) iterations: Option<u64>,
    pub(crate) seeds: u64,
    pub(crate) first_seed: u64,
    pub(crate) weeks: u64,
    pub(crate) threads: usize,
    /// Containers at a time of a scenario's hunts.
    pub(crate) workers: Option<usize>,
    /// Share of its time that probes may take after the last iteration.
    pub(crate) probe_limit: Option<f64>,
    pub(crate) kill: Option<f64>,
    pub(crate) scenario: Option<String>,
    /// Rate of intermittent tests in written suites.
    pub(crate) rate: Option<f64>,
    pub(crate) verbose: bool,
}

impl Options {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            words: Vec::new(),
            tests: None,
            iterations: None,
            seeds: 20,
            first_seed: 0,
            weeks: 20,
            threads: 2,
            workers: None,
            probe_limit: None,
            kill: None,
            scenario: None,
            rate: None,
            verbose: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                options.words.push(word);
                continue;
            };
            if name == "verbose" {
                options.verbose = true;
                continue;
            }
            let value = words.next().ok_or(format!("`{word}` needs a value"))?;
            let fault = |_| format!("`{word}` takes a number, not `{value}`");
            match name {
                "tests" => options.tests = Some(value.parse().map_err(fault)?),
                "iterations" => options.iterations = Some(value.parse().map_err(fault)?),
                "seeds" => options.seeds = value.parse().map_err(fault)?,
                "first-seed" => options.first_seed = value.parse().map_err(fault)?,
                "weeks" => options.weeks = value.parse().map_err(fault)?,
                "threads" => options.threads = value.parse().map_err(fault)?,
                "workers" => options.workers = Some(value.parse().map_err(fault)?),
                "kill" => options.kill = Some(real(&word, &value)?),
                "rate" => options.rate = Some(real(&word, &value)?),
                "probe-limit" => options.probe_limit = Some(real(&word, &value)?),
                "scenario" => options.scenario = Some(value),
                "seed" => {
                    options.first_seed = value.parse().map_err(fault)?;
                    options.seeds = 1;
                }
                _ => return Err(format!("there is no option `{word}`")),
            }
        }
        Ok(options)
    }
}

fn real(word: &str, value: &str) -> Result<f64, String> {
    let number = value.parse();
    number.map_err(|_| format!("`{word}` takes a number, not `{value}`"))
}
