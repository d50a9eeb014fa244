//! One section of the file: typed values by key, each with its place, each fault at its place.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{ConfigError, Problem, Source};
use super::settings::Runner;
use super::units::{ByteSize, Period, shortened};

/// One section of the file; every question about a section that is absent is answered with `None`.
pub(super) struct Section<'a> {
    pub(super) name: &'static str,
    pub(super) values: BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>,
    pub(super) span: Range<usize>,
    pub(super) source: &'a Source,
}

/// Refuses the first name, in the order of the file, that is none of `choices`.
pub(super) fn refuse_unknown(
    source: &Source,
    section: Option<&'static str>,
    table: &DeTable<'_>,
    choices: &'static [&'static str],
) -> Result<(), ConfigError> {
    let unknown = table
        .keys()
        .filter(|key| !choices.contains(&&**key.get_ref()))
        .min_by_key(|key| key.span().start);
    match unknown {
        None => Ok(()),
        Some(key) => Err(source.fault(
            key.span(),
            Problem::Unknown {
                section,
                found: shortened(key.get_ref()),
                choices,
            },
        )),
    }
}

impl Section<'_> {
    pub(super) fn wrong_type(
        &self,
        key: &'static str,
        expected: &'static str,
        value: &Spanned<DeValue<'_>>,
    ) -> ConfigError {
        let found = value.get_ref().type_str();
        let problem = Problem::WrongType {
            key,
            expected,
            found,
        };
        self.source.fault(value.span(), problem)
    }

    fn bad_value(
        &self,
        key: &'static str,
        expected: &'static str,
        span: Range<usize>,
    ) -> ConfigError {
        let found = shortened(self.source.text[span.clone()].trim_matches('"'));
        let problem = Problem::BadValue {
            key,
            expected,
            found,
        };
        self.source.fault(span, problem)
    }

    /// Reads a text that `accept` takes.
    pub(super) fn text(
        &self,
        key: &'static str,
        expected: &'static str,
        accept: impl Fn(&str) -> bool,
    ) -> Result<Option<Spanned<String>>, ConfigError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            None => Err(self.wrong_type(key, expected, value)),
            Some(text) if accept(text) => Ok(Some(Spanned::new(value.span(), text.to_owned()))),
            Some(_) => Err(self.bad_value(key, expected, value.span())),
        }
    }

    /// Reads a text that is not empty and has no control characters.
    pub(super) fn plain(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<Spanned<String>>, ConfigError> {
        self.text(key, expected, |text| {
            !text.is_empty() && !text.chars().any(char::is_control)
        })
    }

    /// Reads a text through its `FromStr`.
    fn parsed<T: FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<Spanned<T>>, ConfigError> {
        let text = self.text(key, expected, |text| text.parse::<T>().is_ok())?;
        Ok(text.and_then(|text| Some(Spanned::new(text.span(), text.get_ref().parse().ok()?))))
    }

    pub(super) fn required<T: FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        let section = self.name;
        self.parsed(key, expected)?
            .map(Spanned::into_inner)
            .ok_or_else(|| {
                self.source
                    .fault(self.span.clone(), Problem::Absent { section, key })
            })
    }

    pub(super) fn runner(&self) -> Result<Runner, ConfigError> {
        let key = "runner";
        let Some(text) = self.text(key, "the name of a runner", |_| true)? else {
            return Err(self.source.fault(
                self.span.clone(),
                Problem::Absent {
                    section: self.name,
                    key,
                },
            ));
        };
        text.get_ref().parse().map_err(|_| {
            let found = shortened(text.get_ref());
            let choices = Runner::WORDS;
            let problem = Problem::NotAChoice {
                key,
                found,
                choices,
            };
            self.source.fault(text.span(), problem)
        })
    }

    /// Reads a period longer than nothing.
    pub(super) fn period(&self, key: &'static str) -> Result<Option<Spanned<Period>>, ConfigError> {
        let expected = "a duration such as `90s`, `30m`, `8h` or `28d`";
        let period: Option<Spanned<Period>> = self.parsed(key, expected)?;
        match period {
            Some(period) if period.get_ref().duration().is_zero() => {
                Err(self.bad_value(key, "longer than nothing", period.span()))
            }
            Some(_) | None => Ok(period),
        }
    }

    pub(super) fn size(
        &self,
        key: &'static str,
        least: &str,
        expected: &'static str,
    ) -> Result<Option<Spanned<ByteSize>>, ConfigError> {
        let least: ByteSize = least.parse().expect("the callers write valid sizes");
        let size: Option<Spanned<ByteSize>> = self.parsed(key, expected)?;
        match size {
            Some(size) if *size.get_ref() < least => {
                Err(self.bad_value(key, expected, size.span()))
            }
            Some(_) | None => Ok(size),
        }
    }

    pub(super) fn whole<T: TryFrom<i64> + PartialOrd>(
        &self,
        key: &'static str,
        range: RangeInclusive<T>,
        expected: &'static str,
    ) -> Result<Option<Spanned<T>>, ConfigError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let Some(integer) = value.get_ref().as_integer() else {
            return Err(self.wrong_type(key, expected, value));
        };
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .map(|number| Some(Spanned::new(value.span(), number)))
            .ok_or_else(|| self.bad_value(key, expected, value.span()))
    }

    pub(super) fn number(
        &self,
        key: &'static str,
        range: RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<Option<Spanned<f64>>, ConfigError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return Err(self.wrong_type(key, expected, value)),
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .map(|number| Some(Spanned::new(value.span(), number)))
            .ok_or_else(|| self.bad_value(key, expected, value.span()))
    }

    /// Reads a list of texts that `accept` takes each; a fault points at its element.
    pub(super) fn list(
        &self,
        key: &'static str,
        expected: &'static str,
        accept: impl Fn(&str) -> bool,
    ) -> Result<Option<Spanned<Vec<String>>>, ConfigError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let Some(array) = value.get_ref().as_array() else {
            return Err(self.wrong_type(key, expected, value));
        };
        let mut texts = Vec::new();
        for element in array {
            match element.get_ref().as_str() {
                None => return Err(self.wrong_type(key, expected, element)),
                Some(text) if accept(text) => texts.push(text.to_owned()),
                Some(_) => return Err(self.bad_value(key, expected, element.span())),
            }
        }
        Ok(Some(Spanned::new(value.span(), texts)))
    }
}
