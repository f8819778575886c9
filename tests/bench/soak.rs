//! Two nodes at a steady rate, with restarts, and what grows: `-- soak [--seconds N]`.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::world::{Client, Human, Place, befriend};

const SECONDS: u64 = 120;
/// Messages a second, each way.
const RATE: u32 = 20;
/// A node is restarted so often, in turn, every second time by a crash.
const RESTART_EVERY: Duration = Duration::from_secs(20);
/// What a run begins with is not growth.
const WARM: Duration = Duration::from_secs(10);

/// What one node takes at one moment.
struct Taken {
    hours: f64,
    of: [f64; 3],
}

const WHAT: [&str; 3] = ["RSS, MiB", "disk, MiB", "file descriptors"];

pub(crate) fn measure(seconds: Option<u64>) {
    let run = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (human, other) = (Human::new(), Human::new());
    let mut places = [Place::new("alice", &human), Place::new("bob", &other)];
    befriend((&places[0], &human), (&places[1], &other));
    for place in &mut places {
        place.start();
    }
    let mut taken: [Vec<Taken>; 2] = [Vec::new(), Vec::new()];
    let (begun, mut sent, mut restarts) = (Instant::now(), 0_u32, 0_u32);
    let mut clients = places.each_ref().map(Place::client);
    let (mut looked, mut restarted) = (Instant::now(), Instant::now());
    let mut ids = [Vec::new(), Vec::new()];
    while begun.elapsed() < run {
        for (n, to) in [(0, "bob"), (1, "alice")] {
            let text = format!("message {sent} {}", "x".repeat(500));
            let message = json!({"agent": "send", "to": to, "text": text, "request": false});
            let answer = clients[n].ask(&message);
            assert_eq!(answer["state"], "queued", "{answer}");
            ids[n].push(answer["id"].as_str().unwrap().to_owned());
        }
        sent += 1;
        if sent.is_multiple_of(RATE) {
            clients.iter_mut().for_each(read);
        }
        if looked.elapsed() > Duration::from_secs(1) && begun.elapsed() > WARM {
            looked = Instant::now();
            for (n, place) in places.iter().enumerate() {
                taken[n].push(look(place, begun));
            }
        }
        if restarted.elapsed() > RESTART_EVERY && begun.elapsed() + RESTART_EVERY < run {
            let n = usize::try_from(restarts % 2).unwrap();
            if restarts % 4 < 2 {
                places[n].stop();
            } else {
                places[n].kill();
            }
            places[n].start();
            clients[n] = places[n].client();
            (restarted, restarts) = (Instant::now(), restarts + 1);
        }
        let due = Duration::from_secs(1) / RATE * sent;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    clients.iter_mut().for_each(read);
    for (client, ids) in clients.iter_mut().zip(&ids) {
        for id in ids {
            client.reaches(id, &["accepted", "read"]);
        }
    }
    println!(
        "\nfigures:\n{sent} messages each way in {} s, {restarts} restarts, all accepted.\n",
        run.as_secs()
    );
    println!("figures:");
    println!("| node | what | last | slope an hour |\n|---|---|---|---|");
    for (place, taken) in places.iter().zip(&taken) {
        for (n, what) in WHAT.iter().enumerate() {
            let last = taken.last().map_or(0.0, |taken| taken.of[n]);
            println!("| {} | {what} | {last:.2} | {:+.2} |", place.name, slope(taken, n));
        }
    }
    println!();
}

fn read(client: &mut Client) {
    let page = json!({"agent": "inbox", "unread": true, "limit": 100, "mark_read": true});
    while !client.ask(&page)["messages"].as_array().unwrap().is_empty() {}
}

fn look(place: &Place, begun: Instant) -> Taken {
    let files = fs::read_dir(format!("/proc/{}/fd", place.pid())).unwrap().count();
    let files = f64::from(u32::try_from(files).unwrap());
    Taken {
        hours: begun.elapsed().as_secs_f64() / 3600.0,
        of: [place.rss_mib(), place.disk_mib(), files],
    }
}

/// By least squares.
fn slope(taken: &[Taken], n: usize) -> f64 {
    let count = f64::from(u32::try_from(taken.len().max(1)).unwrap());
    let mean = |of: &dyn Fn(&Taken) -> f64| taken.iter().map(of).sum::<f64>() / count;
    let (hours, value) = (mean(&|t| t.hours), mean(&|t| t.of[n]));
    let over = mean(&|t| (t.hours - hours) * (t.of[n] - value));
    let under = mean(&|t| (t.hours - hours).powi(2));
    if under > 0.0 { over / under } else { 0.0 }
}
