use std::os::unix::process::CommandExt as _;

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpSocket},
};

use super::*;

const NOBODY: u32 = 65534;

#[cfg(target_endian = "little")]
#[test]
fn a_row_is_found_by_both_ends_and_says_its_user() {
    let check = |line: &str, local: &str, remote: &str, expected: Option<Owner>| {
        let ends = (local.parse().unwrap(), remote.parse().unwrap());
        assert_eq!(owner_by(line, ends), expected, "{line}");
    };
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:7311");
    let held = "   7: 0100007F:9C40 0100007F:1C8F 01 00000000:00000000 00:00000000 00000000  1000 \
                       0 48213 1 0000000000000000 20 4 30 10 -1";
    check(held, client, server, Some(Owner::User(1000)));
    check(held, server, client, None);
    check(held, "127.0.0.1:40001", server, None);
    check(held, client, "127.0.0.1:7312", None);
    check(held, "127.0.0.2:40000", server, None);
    // An IPv6 socket that speaks IPv4.
    let mapped = "  12: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1C8F \
                  01 00000000:00000000 02:000000AB 00000000  1001        0 48214 2 0";
    check(mapped, client, server, Some(Owner::User(1001)));
    let v6 = "   0: 00000000000000000000000001000000:9C40 00000000000000000000000001000000:1C8F 01 \
              00000000:00000000 00:00000000 00000000     0        0 48215 1 0";
    check(v6, "[::1]:40000", "[::1]:7311", Some(Owner::User(0)));
    check(v6, client, server, None);
    // Closed: the system shows user 0 and no inode.
    let closed = "   3: 0100007F:9C40 0100007F:1C8F 05 00000000:00000000 00:00000000 00000000     0 \
                         0 0 1 0";
    check(closed, client, server, Some(Owner::Nobody));
    for bad in [
        "",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
        "0: 0100007F:9C40 0100007F:1C8F 01 0:0 0:0 0 -1 0 5",
        "0: 0100007F:9C40 0100007F:1C8F 01 0:0 0:0 0 1000",
        "0: 0100007F9C40 0100007F:1C8F 01 0:0 0:0 0 1000 0 5",
        "0: 0100007:9C40 0100007F:1C8F 01 0:0 0:0 0 1000 0 5",
        "0: 0100007é:9C40 0100007F:1C8F 01 0:0 0:0 0 1000 0 5",
        "0: 0100007F:19C40 0100007F:1C8F 01 0:0 0:0 0 1000 0 5",
    ] {
        check(bad, client, server, None);
    }
}

/// Both ends of a connection over loopback.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let client = TcpSocket::new_v4().unwrap().connect(to).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_user_of_this_process_comes_in() {
    let tasks = TaskTracker::new();
    let (_client, accepted) = connected().await;
    assert!(Door::new().admits(&accepted, &tasks).await);
    let others = Door::of(user() + 1, [TABLE_V4, TABLE_V6]);
    assert!(!others.admits(&accepted, &tasks).await);
    assert!(!others.admits(&accepted, &tasks).await);
    let refused = others.0.refused.lock().unwrap();
    assert!(refused.count == 2 && refused.told_at.is_some());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_has_gone_is_nobody_and_no_table_is_no_check() {
    let tasks = TaskTracker::new();
    let (client, accepted) = connected().await;
    drop(client);
    let root = Door::of(0, [TABLE_V4, TABLE_V6]);
    assert!(!root.admits(&accepted, &tasks).await, "a closed socket's row says user 0");
    let none = Door::of(user() + 1, ["/proc/self/net/none", "/proc/self/net/none"]);
    assert!(none.admits(&accepted, &tasks).await);
    let empty = Door::of(user(), ["/dev/null", "/proc/self/net/none"]);
    assert!(!empty.admits(&accepted, &tasks).await, "a table without the row");
}

/// Needs root, to be somebody else.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_users_process_gets_no_answer() {
    if user() != 0 {
        println!("SKIPPED: only root can connect as another user");
        return;
    }
    let listener = crate::http::Listener::bind(None).await.unwrap();
    let (port, tasks) = (listener.port(), TaskTracker::new());
    let router = axum::Router::new().route("/", axum::routing::get(async || "here"));
    let cancel = tokio_util::sync::CancellationToken::new();
    listener.serve(&router, &tasks, &cancel);
    let ask = |user: u32| {
        let script = format!(
            "trap '' PIPE; exec 3<>/dev/tcp/127.0.0.1/{port} || exit 9; id -u; \
             printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; \
             cat <&3"
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script]).uid(user).gid(user).current_dir("/");
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let own = String::from_utf8(ask(0).await.unwrap().stdout).unwrap();
    assert!(own.starts_with("0\nHTTP/1.1 200") && own.contains("here"), "{own}");
    let other = String::from_utf8(ask(NOBODY).await.unwrap().stdout).unwrap();
    assert_eq!(other.trim(), NOBODY.to_string(), "it connected, and got nothing");
    // The page goes on for its own user.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    cancel.cancel();
}
