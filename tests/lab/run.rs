//! Runs cases one after the other, each in namespaces of its own and within its time.

use std::{
    fmt::Write as _,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    cases::{CASES, Case},
    outcome::{Outcome, Ran, table},
    support::{require, wait},
};

/// The first argument of a case's own process.
pub(crate) const INSIDE: &str = "--inside";

/// Cases that run side by side.
const AT_ONCE: usize = 3;
/// A case that may take longer spends its time in waiting.
const MOSTLY_WAITS: Duration = Duration::from_mins(5);

/// Everything that a namespace can be had for, with an end for all in it when its first process ends.
const UNSHARE: [&str; 8] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Runs what the arguments name: nothing means the short set, `--all` everything.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let all = words.contains(&"--all");
    let names: Vec<&str> = words.iter().filter(|word| !word.starts_with('-')).copied().collect();
    if words.contains(&"--list") {
        for case in CASES {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = missing() {
        return skip(&missing);
    }
    let wanted = |case: &&Case| {
        let named = names.iter().any(|name| case.name.contains(name));
        let exactly = names.contains(&case.name);
        exactly || ((all || case.short) && (names.is_empty() || named))
    };
    let cases: Vec<&'static Case> = CASES.iter().filter(wanted).collect();
    let begun = Instant::now();
    let ran = all_of(&cases);
    let failed: Vec<&str> =
        ran.iter().filter(|case| case.result.is_err()).map(|case| case.name).collect();
    if all && names.is_empty() {
        write_results(&ran);
    }
    println!("\n{}", table(&ran));
    let took = begun.elapsed().as_secs();
    println!(
        "\nfigures:\nlab: {} cases, {} failed {failed:?}, {took} s\n",
        ran.len(),
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A few at once, because most of a case is waiting; and beside them those that only wait.
fn all_of(cases: &[&'static Case]) -> Vec<Ran> {
    let (beside, queue): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| case.limit > MOSTLY_WAITS);
    let next = AtomicUsize::new(0);
    let mut ran: Vec<Ran> = thread::scope(|scope| {
        let queued = || {
            let mut ran = Vec::new();
            while let Some(case) = queue.get(next.fetch_add(1, Ordering::SeqCst)) {
                ran.push(one(case));
            }
            ran
        };
        let mut threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(queued)).collect();
        threads.extend(beside.into_iter().map(|case| scope.spawn(|| vec![one(case)])));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    ran.sort_by_key(|ran| cases.iter().position(|case| case.name == ran.name));
    ran
}

/// What the lab cannot do without and is not here.
fn missing() -> Option<String> {
    for (program, asked) in [("nft", "--version"), ("tc", "-V"), ("ip", "-V")] {
        let mut asks = Command::new(program);
        asks.arg(asked).stdout(Stdio::null()).stderr(Stdio::null());
        if !asks.status().is_ok_and(|status| status.success()) {
            return Some(format!("no `{program}`; install nftables and iproute2"));
        }
    }
    let output =
        Command::new("unshare").args(UNSHARE).args(["--", "nft", "list", "ruleset"]).output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("no user and network namespaces ({})", said.trim()))
        }
        Err(error) => Some(format!("no `unshare` of util-linux ({error})")),
    }
}

/// Says loudly that nothing is tested, and fails where that is not allowed.
fn skip(what: &str) -> ExitCode {
    eprintln!("\n!!! NOT TESTED: the lab; there is {what}.\n");
    if require::is_required("lab") {
        eprintln!("COUNTERSIGN_TEST_REQUIRE has `lab`");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs one case, and once more where nothing was wrong but that it took too long: the machine may have
/// been busy with something else. The table says so.
fn one(case: &'static Case) -> Ran {
    let first = once(case);
    let Err((problem, Some(outcome))) = &first.result else { return first };
    if !outcome.is_only_late() {
        return first;
    }
    let mut second = once(case);
    if let Ok(outcome) = &mut second.result {
        write!(outcome.note, "second try; the first {problem}").unwrap();
    }
    second
}

/// Runs one case in its own process.
fn once(case: &'static Case) -> Ran {
    let folder = tempfile::Builder::new().prefix("cslab").tempdir().unwrap();
    let (result, log) = (folder.path().join("result"), folder.path().join("log"));
    let begun = Instant::now();
    let said = fs::File::create(&log).unwrap();
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg("--").arg(std::env::current_exe().unwrap());
    command.args([INSIDE, case.name]).arg(&result).stdin(Stdio::null());
    command.stdout(said.try_clone().unwrap()).stderr(said).process_group(0);
    // What the homes' folders are made in goes with the case, however it ends.
    command.env("TMPDIR", folder.path());
    let mut child = command.spawn().unwrap();
    let ended = wait::within(case.limit, || child.try_wait().unwrap());
    if !ended {
        child.kill().ok(); // It may have ended just now; everything in it ends with it.
    }
    let status = child.wait().unwrap();
    let took = begun.elapsed();
    let found = fs::read(&result).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let checked = |outcome: &Outcome| outcome.check();
    let result = match found {
        _ if !ended => Err((format!("no end within {:?}", case.limit), None)),
        Some(outcome) if status.success() => {
            checked(&outcome).map(|()| outcome.clone()).map_err(|problem| (problem, Some(outcome)))
        }
        found => Err((format!("it ended with {status}"), found)),
    };
    tell(case, &result, took);
    if result.is_err() || std::env::var_os("COUNTERSIGN_LAB_LOG").is_some() {
        eprintln!("--- {} said:\n{}", case.name, fs::read_to_string(&log).unwrap_or_default());
    }
    Ran { name: case.name, what: case.what, result, took }
}

fn tell(case: &Case, result: &Result<Outcome, (String, Option<Outcome>)>, took: Duration) {
    let seconds = took.as_secs_f64();
    match result {
        Ok(outcome) => println!("lab {} ... ok ({seconds:.1} s) {outcome:?}", case.name),
        Err((problem, outcome)) => {
            println!("lab {} ... FAILED ({seconds:.1} s): {problem} {outcome:?}", case.name);
        }
    }
}

/// The case itself, in its namespaces.
pub(crate) fn inside(name: &str, result: &Path) -> ExitCode {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of that name");
    let outcome = (case.run)();
    fs::write(result, serde_json::to_string(&outcome).unwrap()).unwrap();
    ExitCode::SUCCESS
}

fn write_results(ran: &[Ran]) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let took: Duration = ran.iter().map(|case| case.took).sum();
    let text = format!(
        "# The lab's table\n\nWritten by `cargo test --test lab -- --all`. {date}, Linux {}, {cores} cores, \
         load {load} (1, 5, 15 minutes, at the end), a build without optimisation, {} s.\n\n{}",
        kernel.trim(),
        took.as_secs(),
        table(ran)
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/RESULTS.md");
    fs::write(path, text).unwrap();
}
