//! What a case found, and the table of all.

use std::{fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};

use crate::traffic::Tally;

/// What a case found. Times are milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// From the start of the second node to the arrival of the first message.
    pub(crate) first_ms: Option<i64>,
    /// From the end of the trouble to the arrival of the first message that was sent since it began.
    pub(crate) heal_ms: Option<i64>,
    /// The longest time that healing may take.
    pub(crate) heal_bound_ms: Option<i64>,
    /// How the peer was reached in the end.
    pub(crate) path: String,
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) late: usize,
    /// What else there is to say.
    pub(crate) note: String,
}

impl Outcome {
    /// Adds the messages of a stream.
    pub(crate) fn count(&mut self, tally: Tally) {
        self.sent += tally.sent;
        self.lost += tally.lost;
        self.doubled += tally.doubled;
        self.late += tally.late;
    }

    /// All is well but the time that healing took.
    pub(crate) fn is_only_late(&self) -> bool {
        self.lost + self.doubled + self.late == 0 && self.heal_ms.is_some()
    }

    /// Fails where messages are missing, or healing took too long.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.lost + self.doubled + self.late > 0 {
            return Err(format!(
                "{} lost, {} doubled, {} out of order",
                self.lost, self.doubled, self.late
            ));
        }
        match (self.heal_ms, self.heal_bound_ms) {
            (Some(heal), Some(bound)) if heal > bound => {
                Err(format!("healed after {heal} ms; the bound is {bound} ms"))
            }
            (None, Some(_)) => Err("it did not heal".to_owned()),
            (_, Some(_) | None) => Ok(()),
        }
    }
}

/// A case that ran.
pub(crate) struct Ran {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) result: Result<Outcome, (String, Option<Outcome>)>,
    pub(crate) took: Duration,
}

/// One line for each case.
pub(crate) fn table(ran: &[Ran]) -> String {
    let mut text = String::from(
        "| case | what happens | first message | healed | bound | path | sent | lost | doubled | |\n\
         | --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | --- |\n",
    );
    for case in ran {
        let (outcome, problem) = match &case.result {
            Ok(outcome) => (outcome.clone(), String::new()),
            Err((problem, outcome)) => {
                (outcome.clone().unwrap_or_default(), format!("**FAILED**: {problem} "))
            }
        };
        let ms = |ms: Option<i64>| ms.map(|ms| format!("{} s", seconds(ms))).unwrap_or_default();
        let Outcome { first_ms, heal_ms, heal_bound_ms, path, sent, lost, doubled, note, .. } =
            outcome;
        let (first, heal, bound) = (ms(first_ms), ms(heal_ms), ms(heal_bound_ms));
        writeln!(
            text,
            "| {} | {} | {first} | {heal} | {bound} | {path} | {sent} | {lost} | {doubled} | {problem}{note} |",
            case.name, case.what,
        )
        .unwrap();
    }
    text + &share(ran)
}

fn seconds(ms: i64) -> String {
    format!("{}.{:02}", ms / 1000, ms % 1000 / 10)
}

/// How many got direct, of those whose networks let them.
fn share(ran: &[Ran]) -> String {
    let paths = ran.iter().filter_map(|case| case.result.as_ref().ok()).map(|o| o.path.as_str());
    let (mut direct, mut all) = (0, 0);
    for path in paths.filter(|path| !path.is_empty()) {
        all += 1;
        direct += usize::from(path == "direct");
    }
    format!("\nDirect in the end: {direct} of {all} cases that talk.\n")
}
