//! Whose connection it is: on Linux the system's tables of sockets say which user holds the other
//! end, and the page is for the user of this node alone.
//!
//! The client's own socket is looked up, whose local address is our remote one and the other way
//! round. A socket that its program has closed belongs to nobody, whatever user id its row shows
//! (the system writes 0), and is refused too. Where the tables are not there, as in some
//! sandboxes, everybody is let in, with one warning. On other platforms nobody is checked: there a
//! code or a session's cookie alone keeps other users of the machine out.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use crate::base::limits::{HTTP_OWNER_TABLE_BYTES, HTTP_OWNER_TRIES, HTTP_REFUSALS_TOLD_EVERY};

/// The rows of IPv4 sockets.
const TABLE_V4: &str = "/proc/self/net/tcp";
/// The rows of IPv6 sockets, also of those that speak IPv4.
const TABLE_V6: &str = "/proc/self/net/tcp6";
/// Between two looks: a table that changes while it is read may lack a row.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Lets in who is the user of this process.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    user: u32,
    tables: [&'static str; 2],
    unchecked: AtomicBool,
    refused: Mutex<Refused>,
}

/// How many were refused, and when that was last said.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    told_at: Option<Instant>,
}

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    User(u32),
    /// Its program has closed it.
    Nobody,
}

/// What the tables say of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Held(Owner),
    /// There is no such row, or none could be read just now.
    Absent,
    /// There are no tables here.
    NoTable,
}

impl Door {
    /// The door of this process' user.
    pub(super) fn new() -> Self {
        Self::of(rustix::process::geteuid().as_raw(), [TABLE_V4, TABLE_V6])
    }

    fn of(user: u32, tables: [&'static str; 2]) -> Self {
        let (unchecked, refused) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { user, tables, unchecked, refused }))
    }

    /// Whether the other end of `stream` may ask anything.
    pub(super) async fn admits(&self, stream: &TcpStream, tasks: &TaskTracker) -> bool {
        if !cfg!(target_os = "linux") {
            return true;
        }
        let (Ok(client), Ok(server)) = (stream.peer_addr(), stream.local_addr()) else {
            return false;
        };
        let admitted = match self.look_up((client, server), tasks).await {
            Found::Held(Owner::User(user)) => user == self.0.user,
            // Nobody is there to be answered.
            Found::Held(Owner::Nobody) => return false,
            Found::Absent => false,
            Found::NoTable => {
                if !self.0.unchecked.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "there is no {TABLE_V4} here, so connections to the page are not checked \
                         for their user"
                    );
                }
                true
            }
        };
        if !admitted {
            self.refused();
        }
        admitted
    }

    async fn look_up(&self, ends: (SocketAddr, SocketAddr), tasks: &TaskTracker) -> Found {
        for again in 0..HTTP_OWNER_TRIES {
            if again > 0 {
                sleep(LOOK_AGAIN).await;
            }
            let tables = self.0.tables;
            let look = tasks.spawn_blocking(move || owner_of(ends, tables));
            match look.await {
                Ok(Found::Absent) | Err(_) => {}
                Ok(found) => return found,
            }
        }
        Found::Absent
    }

    /// Counts, and says so once a minute at most, without a word of theirs.
    fn refused(&self) {
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        let now = Instant::now();
        let told = |at: Instant| now.duration_since(at) < HTTP_REFUSALS_TOLD_EVERY;
        if !refused.told_at.is_some_and(told) {
            refused.told_at = Some(now);
            let count = refused.count;
            tracing::warn!(
                count,
                "connections to the page that are not held by this user were refused"
            );
        }
    }
}

/// Who holds the client's end of a connection. An IPv4 one may be an IPv6 socket of the client.
fn owner_of(ends: (SocketAddr, SocketAddr), [v4, v6]: [&str; 2]) -> Found {
    if ends.0.is_ipv6() {
        return found_in(v6, ends);
    }
    match found_in(v4, ends) {
        Found::Absent => match found_in(v6, ends) {
            // This machine has no IPv6.
            Found::NoTable => Found::Absent,
            found @ (Found::Held(_) | Found::Absent) => found,
        },
        found @ (Found::Held(_) | Found::NoTable) => found,
    }
}

fn found_in(table: &str, ends: (SocketAddr, SocketAddr)) -> Found {
    use io::ErrorKind::{NotFound, PermissionDenied};
    // Anything else, as too many open files, may be somebody's doing, and opens no door.
    match File::open(table).and_then(|file| owner_in(file, ends)) {
        Ok(Some(owner)) => Found::Held(owner),
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => Found::NoTable,
        Ok(None) | Err(_) => Found::Absent,
    }
}

fn owner_in(file: File, ends: (SocketAddr, SocketAddr)) -> io::Result<Option<Owner>> {
    for line in BufReader::new(file.take(HTTP_OWNER_TABLE_BYTES)).lines() {
        if let Some(owner) = owner_by(&line?, ends) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// What one line says of the socket that has `local` here and `remote` there (`proc_net_tcp.txt`
/// of Linux): number, both addresses, state, queues, timer, retransmits, user, timeouts, inode.
fn owner_by(line: &str, (local, remote): (SocketAddr, SocketAddr)) -> Option<Owner> {
    let mut fields = line.split_ascii_whitespace();
    let (_, here, there) = (fields.next()?, fields.next()?, fields.next()?);
    if address(here)? != local || address(there)? != remote {
        return None;
    }
    let (user, inode) = (fields.nth(4)?.parse().ok()?, fields.nth(1)?.parse::<u64>().ok()?);
    Some(if inode == 0 { Owner::Nobody } else { Owner::User(user) })
}

/// `0100007F:1C8F`: words of four bytes in this machine's order, and the port. IPv4 within IPv6
/// becomes IPv4.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| -> Option<[u8; 4]> {
        Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests;
