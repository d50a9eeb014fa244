//! Conclusions that do not follow from the replies alone: they also looked at what was known at that moment. Such a
//! one is recorded, so that a later process takes it as it was and asks nothing again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Conclusion;
use crate::model::TestId;

/// What is recorded of a conclusion.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Judged {
    Found(Vec<TestId>),
    NotFound,
    Impossible,
}

impl Conclusion {
    /// Returns what is to be recorded of it; `None` when it follows from the replies.
    pub(crate) fn to_json(&self, names: &[TestId]) -> Option<Value> {
        let judged = match self {
            Self::Found(group) => Judged::Found(
                group
                    .iter()
                    .map(|test| names[*test as usize].clone())
                    .collect(),
            ),
            Self::NotFound => Judged::NotFound,
            Self::Impossible => Judged::Impossible,
            Self::Ran
            | Self::Certified(_)
            | Self::Refuted(_)
            | Self::OnlyAmount(_)
            | Self::Splits(_)
            | Self::Adjacent(_)
            | Self::NotAdjacent(_)
            | Self::Crosses(_)
            | Self::StaysWithin(_)
            | Self::Replayed(_)
            | Self::Spare(_, _) => return None,
        };
        Some(serde_json::to_value(judged).expect("names are JSON"))
    }

    /// Reads back what was recorded; `None` when it is not of this version, or names a test that is not known.
    pub(crate) fn from_json(value: &Value, index: &HashMap<TestId, u32>) -> Option<Self> {
        Some(match serde_json::from_value(value.clone()).ok()? {
            Judged::Found(group) => {
                let group = group.iter().map(|test| index.get(test).copied());
                Self::Found(group.collect::<Option<_>>()?)
            }
            Judged::NotFound => Self::NotFound,
            Judged::Impossible => Self::Impossible,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Count;

    #[test]
    fn conclusion_is_read_back_as_it_was_recorded_unless_it_follows_from_the_replies() {
        let names = ["a", "b"].map(|name| TestId::new(name).unwrap());
        let index = names.iter().cloned().zip(0..).collect();
        for conclusion in [
            Conclusion::Found(vec![1, 0]),
            Conclusion::NotFound,
            Conclusion::Impossible,
        ] {
            let recorded = conclusion.to_json(&names).unwrap();
            assert_eq!(Conclusion::from_json(&recorded, &index), Some(conclusion));
        }
        let unknown = Conclusion::Found(vec![1]).to_json(&names).unwrap();
        assert_eq!(Conclusion::from_json(&unknown, &HashMap::new()), None);
        assert_eq!(Conclusion::from_json(&Value::Null, &index), None);
        for derived in [Conclusion::Ran, Conclusion::Crosses(Count::default())] {
            assert_eq!(derived.to_json(&names), None);
        }
    }
}
