//! The memory of the node, read by a process of the same user and by root.

use std::{fs, os::unix::fs::FileExt as _};

use super::Siege;
use crate::support::Home;

/// Bytes that are read at once.
const PART: usize = 1024 * 1024;

/// Whether the process's memory holds `wanted`; `None` where the system does not let us look.
fn memory_holds(pid: i32, wanted: &[u8]) -> Option<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut looked = 0_u64;
    for line in
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|how| how.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut at = from;
        while at < to {
            let mut part = vec![0; PART.min(usize::try_from(to - at).ok()?)];
            let Ok(read) = memory.read_at(&mut part, at) else { break };
            if read == 0 {
                break;
            }
            looked += u64::try_from(read).ok()?;
            if memchr::memmem::find(&part[..read], wanted).is_some() {
                return Some(true);
            }
            // What lies across two parts is seen in the next one.
            let step = if read > wanted.len() { read - wanted.len() + 1 } else { read };
            at += u64::try_from(if read == part.len() && at + u64::try_from(read).ok()? < to {
                step
            } else {
                read
            })
            .ok()?;
        }
    }
    (looked > 0).then_some(false)
}

fn pid(home: &Home) -> i32 {
    home.pid().expect("a node")
}

#[test]
fn a_node_is_no_image_on_disk_and_its_memory_is_closed_to_its_user() {
    let siege = Siege::lay();
    let pid = pid(&siege.alice);
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"));
    if let Ok(limits) = limits {
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
    let opened = fs::File::open(format!("/proc/{pid}/mem"));
    if rustix::process::getuid().is_root() {
        assert!(opened.is_ok(), "root reads it: see the list");
    } else {
        assert!(opened.is_err(), "another process of the same user");
        assert!(fs::read(format!("/proc/{pid}/environ")).is_err());
    }
    siege.holds("a look at the memory");
}

#[test]
fn whoever_reads_the_nodes_memory_finds_no_passphrase_there() {
    let siege = Siege::lay();
    // Typed for other things before: at a terminal it is in the command's own memory.
    let other = siege.alice.json_code(&["send", "bob", &super::secret(5)], 3);
    siege.alice.approve(other["pending"].as_str().unwrap());
    siege.bob.received_text(&super::secret(5));
    let pid = pid(&siege.alice);
    let Some(found) = memory_holds(pid, siege.alice.passphrase.as_bytes()) else {
        eprintln!("\n!!! NOT TESTED: only root reads the node's memory.\n");
        return;
    };
    assert!(!found, "the passphrase is in the node's memory");
    let seed = fs::read(siege.alice.path().join("identity.key")).unwrap();
    assert_eq!(memory_holds(pid, &seed), Some(true), "the search finds what is there");
}
