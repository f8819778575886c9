//! What the program answered, in the order of the answers, and what follows from that for what it
//! may show and must show later.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// What was acknowledged is not there.
    Lost,
    /// A message is there twice.
    Doubled,
    /// What no human let pass has arrived.
    Unapproved,
    /// A later message came before an earlier one.
    Disordered,
    /// Anything else that the program must not do.
    Broken,
}

/// What is known of one message.
#[derive(Clone, Debug, Default)]
struct Fate {
    /// Its place among those that one agent sent, where nobody is asked about it.
    place: Option<usize>,
    /// Its id, where the sender was told.
    id: Option<String>,
    /// The sender was told that it is on its way, or its human that it goes.
    promised: bool,
    /// A human signed a yes, whether or not that was answered.
    yes: bool,
    shown: bool,
}

/// What one side sends to the other.
#[derive(Debug, Default)]
struct Flow {
    fates: HashMap<String, Fate>,
    /// How many plain messages were begun.
    places: usize,
    /// The place of the last plain message that was shown.
    last: Option<usize>,
    /// What was shown, in its order: id and text.
    shown: Vec<(String, String)>,
}

/// Everything that was answered.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Vec<String>,
    flows: BTreeMap<&'static str, Flow>,
    wrong: Vec<(Wrong, String)>,
}

impl Journal {
    /// Writes a line, and never changes one.
    pub(crate) fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Something is wrong.
    pub(crate) fn wrong(&mut self, what: Wrong, why: String) {
        self.note(format!("!!! {what:?}: {why}"));
        self.wrong.push((what, why));
    }

    /// How often each thing was wrong.
    pub(crate) fn count(&self, what: Wrong) -> usize {
        self.wrong.iter().filter(|(wrong, _)| *wrong == what).count()
    }

    pub(crate) fn is_well(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What is wrong, and the lines before.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (wrong, why) in self.wrong.iter().take(20) {
            writeln!(text, "{wrong:?}: {why}").unwrap();
        }
        let last = self.lines.len().saturating_sub(120);
        let lines = self.lines.iter().skip(last);
        lines.fold(text + "--- the journal's end\n", |text, line| text + line + "\n")
    }

    /// How many messages were promised, and how many were shown.
    pub(crate) fn messages(&self) -> (usize, usize) {
        let promised = |flow: &Flow| flow.fates.values().filter(|fate| fate.promised).count();
        let flows = || self.flows.values();
        (flows().map(promised).sum(), flows().map(|flow| flow.shown.len()).sum())
    }

    fn flow(&mut self, from: &'static str) -> &mut Flow {
        self.flows.entry(from).or_default()
    }

    /// A text is about to be sent; `plain` where no human is asked.
    pub(crate) fn begin(&mut self, from: &'static str, text: &str, plain: bool) {
        let flow = self.flow(from);
        let place = plain.then_some(flow.places);
        flow.places += usize::from(plain);
        flow.fates.insert(text.to_owned(), Fate { place, ..Fate::default() });
    }

    /// The program answered that a text is in `state`.
    pub(crate) fn sent(&mut self, from: &'static str, text: &str, (id, state): (&str, &str)) {
        self.note(format!("{from} sent {text:?}: {state} {id}"));
        let fate = self.flow(from).fates.entry(text.to_owned()).or_default();
        fate.id = Some(id.to_owned());
        match (state, fate.place) {
            ("queued", Some(_)) => fate.promised = true,
            ("held", None) => {}
            _ => self.wrong(Wrong::Broken, format!("{from}'s {text:?} is {state}")),
        }
    }

    /// The human of `from` signed a yes.
    pub(crate) fn yes(&mut self, from: &'static str, text: &str) {
        self.note(format!("{from}'s human says yes to {text:?}"));
        self.flow(from).fates.entry(text.to_owned()).or_default().yes = true;
    }

    /// The program answered that the yes is taken.
    pub(crate) fn released(&mut self, from: &'static str, text: &str) {
        self.note(format!("{from}'s yes to {text:?} is taken"));
        self.flow(from).fates.entry(text.to_owned()).or_default().promised = true;
    }

    /// A message of `from` was shown to the other side.
    pub(crate) fn shown(&mut self, from: &'static str, (id, text): (&str, &str)) {
        self.note(format!("{from}'s {text:?} is shown"));
        let flow = self.flow(from);
        flow.shown.push((id.to_owned(), text.to_owned()));
        let Some(fate) = flow.fates.get_mut(text) else {
            return self.wrong(Wrong::Unapproved, format!("nobody sent {text:?}"));
        };
        let mut wrong = Vec::new();
        if std::mem::replace(&mut fate.shown, true) {
            wrong.push((Wrong::Doubled, format!("{from}'s {text:?} is there twice")));
        }
        if fate.id.as_deref().is_some_and(|told| told != id) {
            wrong.push((Wrong::Broken, format!("{from}'s {text:?} has another id, {id}")));
        }
        match fate.place {
            None if !fate.yes => {
                wrong.push((Wrong::Unapproved, format!("{from}'s {text:?} came without a yes")));
            }
            Some(place) if flow.last.is_some_and(|last| place < last) => {
                wrong.push((Wrong::Disordered, format!("{from}'s {text:?} came too late")));
            }
            Some(place) => flow.last = Some(place),
            None => {}
        }
        for (what, why) in wrong {
            self.wrong(what, why);
        }
    }

    /// What was promised and not shown yet.
    pub(crate) fn missing(&self, from: &str) -> Vec<String> {
        let fates = self.flows.get(from).into_iter().flat_map(|flow| &flow.fates);
        let missing = fates.filter(|(_, fate)| fate.promised && !fate.shown);
        let mut missing: Vec<String> = missing.map(|(text, _)| text.clone()).collect();
        missing.sort();
        missing
    }

    /// All of the inbox, read once more from its beginning.
    pub(crate) fn whole(&mut self, from: &'static str, listed: &[(String, String)]) {
        let shown = self.flow(from).shown.clone();
        if shown == listed {
            return;
        }
        let gone: Vec<_> = shown.iter().filter(|message| !listed.contains(message)).collect();
        let what = if gone.is_empty() { Wrong::Disordered } else { Wrong::Lost };
        let (before, now) = (shown.len(), listed.len());
        let why = format!("{from}'s {before} that were shown are {now} now; gone: {gone:?}");
        self.wrong(what, why);
    }

    /// The state in which the sender's node holds a message in the end.
    pub(crate) fn ended(&mut self, from: &'static str, id: &str, state: &str) {
        let flow = self.flow(from);
        let arrived = flow.shown.iter().any(|(shown, _)| shown == id);
        let good = if arrived { ["delivered", "accepted", "read"] } else { ["held"; 3] };
        if !good.contains(&state) {
            self.wrong(Wrong::Broken, format!("{from}'s {id} ends as {state}, arrived: {arrived}"));
        }
    }
}
