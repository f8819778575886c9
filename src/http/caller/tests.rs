use super::*;

const TOKEN: (&str, &str) = ("authorization", "Bearer cs_x");

fn callers() -> Callers {
    let (hosts, origins) =
        (["Box.lan".to_owned(), "other:99".to_owned()], ["https://App.example/"]);
    Callers::local(7311, &hosts, &origins.map(str::to_owned))
}

fn token(pairs: &[(&'static str, &str)]) -> Result<Vec<u8>, TurnedAway> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    callers().token(&Uri::from_static("/mcp"), &headers).map(<[u8]>::to_vec)
}

#[test]
fn this_machines_names_and_those_that_are_listed_are_answered() {
    let good = [
        "localhost:7311",
        "LOCALHOST:7311",
        "127.0.0.1:7311",
        "[::1]:7311",
        "box.lan",
        "box.lan:1",
        "other:99",
    ];
    for host in good {
        assert_eq!(token(&[("host", host), TOKEN]), Ok(b"cs_x".to_vec()), "{host}");
    }
    let bad = [
        "localhost",
        "localhost:7312",
        "evil.example:7311",
        "other",
        "other:98",
        "::1:7311",
        "[::1]",
        "localhost:7311@evil.example",
        "box.lan.evil.example",
        "",
    ];
    for host in bad {
        assert_eq!(token(&[("host", host), TOKEN]), Err(TurnedAway::Host), "{host}");
    }
    assert_eq!(token(&[TOKEN]), Err(TurnedAway::Host));
    let twice = [("host", "localhost:7311"), ("host", "localhost:7311"), TOKEN];
    assert_eq!(token(&twice), Err(TurnedAway::Host));
    let line = Uri::from_static("http://evil.example/mcp");
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost:7311"))]);
    assert_eq!(callers().token(&line, &headers), Err(TurnedAway::Host));
}

#[test]
fn pages_of_this_machine_and_of_listed_sites_may_call_and_no_other() {
    let host = ("host", "localhost:7311");
    let good = [
        "http://localhost:3000",
        "http://localhost",
        "http://127.0.0.1:1",
        "http://[::1]:8080",
        "http://[::1]",
        "https://app.example",
    ];
    for origin in good {
        assert!(token(&[host, ("origin", origin), TOKEN]).is_ok(), "{origin}");
    }
    let bad = [
        "null",
        "",
        "http://evil.example",
        "https://localhost:3000",
        "http://localhost.evil",
        "http://localhost:3000@evil",
        "http://localhost:x",
        "http://app.example",
        "localhost",
    ];
    for origin in bad {
        let refused = token(&[host, ("origin", origin), TOKEN]);
        assert_eq!(refused, Err(TurnedAway::Origin), "{origin}");
    }
    let twice = [host, ("origin", "http://localhost"), ("origin", "http://localhost"), TOKEN];
    assert_eq!(token(&twice), Err(TurnedAway::Origin));
}

#[test]
fn only_one_bearer_is_a_token() {
    let host = ("host", "localhost:7311");
    for bad in ["", "Bearer", "Bearer ", "Basic cs_x", "cs_x"] {
        let refused = token(&[host, ("authorization", bad)]);
        assert_eq!(refused, Err(TurnedAway::Token), "{bad}");
    }
    assert_eq!(token(&[host]), Err(TurnedAway::Token));
    assert_eq!(token(&[host, TOKEN, TOKEN]), Err(TurnedAway::Token));
    assert_eq!(token(&[host, ("authorization", "bearer  cs_x")]), Ok(b"cs_x".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_are_told_to_wait_when_there_are_many() {
    let callers = callers();
    for _ in 0..WRONG_TOKENS_PER_MINUTE {
        assert_eq!(callers.wrong(), TurnedAway::Token);
    }
    assert_eq!(callers.wrong(), TurnedAway::TooMany);
    tokio::time::advance(MINUTE).await;
    assert_eq!(callers.wrong(), TurnedAway::Token);
}

#[tokio::test(start_paused = true)]
async fn that_many_wrong_tokens_come_is_said_once_a_minute() {
    let (mut wrong, mut told) = (Wrong::default(), 0);
    let minutes = 5;
    // Twice as many as are let come: one that is forgotten makes room for the next.
    let each = MINUTE / u32::try_from(2 * WRONG_TOKENS_PER_MINUTE).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < minutes * MINUTE {
        told += u32::from(wrong.one_more().1);
        tokio::time::advance(each).await;
    }
    assert!((2..=minutes).contains(&told), "{told}");
}

#[test]
fn who_is_turned_away_holds_no_place() {
    use TurnedAway::{Host, Origin, Token, TooMany};
    for turned in [Host, Origin, Token, TooMany] {
        assert_eq!(turned.into_response().headers()[CONNECTION], "close", "{turned:?}");
    }
}
