//! Homes that are set up while the command dies at a key file: the next `init` completes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::base::failpoint::{Failpoint, POINT_VARIABLE};

use crate::{
    rounds::Seen,
    support::{Home, Output, pty::Terminal},
};

/// Kills `init` at a place, when it comes there for the n-th time. Gives what is wrong.
pub(crate) fn round(point: Failpoint, times: u32, seen: &mut Seen) -> Result<(), String> {
    static HOMES: AtomicUsize = AtomicUsize::new(0);
    let name = ["erin", "frank"][HOMES.fetch_add(1, Ordering::Relaxed) % 2];
    let mut home = Home::empty(name, "quartz heron forgot the seventh staircase");
    home.more = vec![(POINT_VARIABLE, format!("{}:{times}", point.name()))];
    let cut = init(&home);
    if cut.stdout.contains("This home is set up") {
        return Err(format!("init did not die at {}:{times}: {cut}", point.name()));
    }
    seen.killed(point.name());
    home.more.clear();
    let again = init(&home);
    if !again.stdout.contains("set up") {
        return Err(format!("init after {}:{times} says: {again}", point.name()));
    }
    home.set_page_port();
    let me = home.json(&["whoami"]);
    let whole = me["approver"]["set"] == true && me["name"] == name;
    if whole { Ok(()) } else { Err(format!("after {}:{times}: {me}", point.name())) }
}

/// Runs `init`, types the passphrase as often as it is asked for, and gives how it ended.
fn init(home: &Home) -> Output {
    let mut terminal = Terminal::open(home, &["init", "--name", home.name]);
    for _ in 0..3 {
        if !terminal.comes_to_ask() {
            break;
        }
        terminal.answer(home.passphrase);
    }
    terminal.finish()
}
