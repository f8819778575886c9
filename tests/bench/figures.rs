//! Samples, and the table that they end in.

use std::{fmt, time::Duration};

/// What was measured, one duration a try.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// As nanoseconds, to hand them to another process.
    pub(crate) fn ns(&self) -> Vec<u64> {
        self.0.iter().map(|took| u64::try_from(took.as_nanos()).unwrap()).collect()
    }

    /// From [`Samples::ns`].
    pub(crate) fn from_ns(ns: &[u64]) -> Self {
        Self(ns.iter().map(|ns| Duration::from_nanos(*ns)).collect())
    }

    /// The value that `share` of 100 do not exceed.
    fn percentile(&self, share: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = (sorted.len() * share).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }
}

/// A goal, and whether it was met.
pub(crate) struct Goal {
    text: String,
    met: bool,
}

impl Goal {
    /// `value` must not be more than `most`.
    pub(crate) fn at_most(what: &str, value: Duration, most: Duration) -> Self {
        Self { text: format!("{what} at most {}", shown(most)), met: value <= most }
    }

    /// `value` must not be more than `most`, in `unit`.
    pub(crate) fn number_at_most(value: f64, most: f64, unit: &str) -> Self {
        Self { text: format!("at most {most} {unit}"), met: value <= most }
    }

    /// `value` must not be less than `least`, in `unit`.
    pub(crate) fn number_at_least(value: f64, least: f64, unit: &str) -> Self {
        Self { text: format!("at least {least} {unit}"), met: value >= least }
    }
}

/// All figures, as a table of Markdown.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 5]>);

impl Table {
    /// Times.
    pub(crate) fn times(&mut self, figure: &str, samples: &Samples, goal: Option<Goal>) {
        let figure = format!("{figure} (n = {})", samples.0.len());
        self.row(&figure, shown(samples.p50()), shown(samples.p99()), goal);
    }

    /// One number.
    pub(crate) fn number(&mut self, figure: &str, value: f64, unit: &str, goal: Option<Goal>) {
        let value =
            if value < 100.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") };
        self.row(figure, value, String::new(), goal);
    }

    fn row(&mut self, figure: &str, p50: String, p99: String, goal: Option<Goal>) {
        eprintln!("  {figure}: {p50} {p99}");
        let (goal, met) = goal.map_or_else(Default::default, |goal| {
            (goal.text, if goal.met { "met" } else { "missed" }.to_owned())
        });
        self.0.push([figure.to_owned(), p50, p99, goal, met]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["figure", "p50 or value", "p99", "goal", ""].map(str::to_owned);
        let width = |column: usize| {
            let cells = self.0.iter().chain([&titles]).map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut line = |cells: &[String; 5]| {
            let cell = |(cell, width): (&String, usize)| format!(" {cell:width$} |");
            let cells: String = cells.iter().zip(widths).map(cell).collect();
            writeln!(f, "|{cells}")
        };
        line(&titles)?;
        line(&widths.map(|width| "-".repeat(width)))?;
        self.0.iter().try_for_each(line)
    }
}

pub(crate) fn shown(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    if us < 1000.0 { format!("{us:.0} µs") } else { format!("{:.2} ms", us / 1e3) }
}
