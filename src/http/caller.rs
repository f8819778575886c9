//! Who may call `/mcp`, by the head of a request alone: programs of this machine, and those whom the
//! configuration names.
//!
//! A browser sends what other sites' pages want sent, so `Host` and `Origin` are looked at first:
//! no page reaches further than this. Then comes the bearer token (RFC 6750), which is what lets
//! anybody in. Wrong ones are counted: after [`WRONG_TOKENS_PER_MINUTE`] in a minute a further one is
//! told to wait. A good one is let in always, so that nobody who guesses keeps its owner out.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use crate::base::limits::{HTTP_REFUSALS_TOLD_EVERY, WRONG_TOKENS_PER_MINUTE};

const MINUTE: Duration = Duration::from_mins(1);
/// What this machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Who may call, at one listener.
#[derive(Debug)]
pub struct Callers {
    /// `name:port`, or `name` for any port; lower case.
    hosts: Vec<String>,
    /// `scheme://name:port`; lower case.
    origins: Vec<String>,
    wrong: Mutex<Wrong>,
}

/// Wrong tokens.
#[derive(Debug, Default)]
struct Wrong {
    /// When they came, within the last minute.
    came: VecDeque<Instant>,
    /// When it was last said that there are many.
    told_at: Option<Instant>,
}

impl Wrong {
    /// What one more gets, and whether to say that there are many: once a minute at most.
    fn one_more(&mut self) -> (TurnedAway, bool) {
        let now = Instant::now();
        while self.came.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.came.pop_front();
        }
        if self.came.len() >= WRONG_TOKENS_PER_MINUTE {
            return (TurnedAway::TooMany, false);
        }
        self.came.push_back(now);
        let told = self.told_at.is_some_and(|at| now.duration_since(at) < HTTP_REFUSALS_TOLD_EVERY);
        let tell = self.came.len() == WRONG_TOKENS_PER_MINUTE && !told;
        if tell {
            self.told_at = Some(now);
        }
        (TurnedAway::Token, tell)
    }
}

/// Why a call goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// For another host: a name that was made to point here, or one that is not in the list.
    Host,
    /// From another site's page.
    Origin,
    /// Without a token that is good.
    Token,
    /// Too many wrong tokens came.
    TooMany,
}

impl Callers {
    /// Programs of this machine, at `port`; and `hosts` and `origins` besides.
    #[must_use]
    pub fn local(port: u16, hosts: &[String], origins: &[String]) -> Self {
        Self::of(LOOPBACK.map(|name| format!("{name}:{port}")).to_vec(), hosts, origins)
    }

    /// Programs of other machines, for which `hosts` and the address that is listened at stand.
    #[must_use]
    pub fn remote(address: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        Self::of(vec![address.to_string()], hosts, origins)
    }

    fn of(mut all: Vec<String>, hosts: &[String], origins: &[String]) -> Self {
        all.extend(hosts.iter().map(|host| host.to_ascii_lowercase()));
        let origin = |origin: &String| origin.trim_end_matches('/').to_ascii_lowercase();
        let origins = origins.iter().map(origin).collect();
        Self { hosts: all, origins, wrong: Mutex::default() }
    }

    /// The token of a request whose head is in order. Whether it is good is for the node to say.
    ///
    /// # Errors
    /// Why the request goes no further.
    pub fn token<'h>(&self, uri: &Uri, headers: &'h HeaderMap) -> Result<&'h [u8], TurnedAway> {
        let host = one(headers, &HOST).ok().flatten().ok_or(TurnedAway::Host)?;
        // A request that names its host in the first line, too, is for that one (RFC 9112 3.2.2).
        let line = uri.authority().is_none_or(|line| line.as_str().eq_ignore_ascii_case(host));
        if !line || !self.is_host(host) {
            return Err(TurnedAway::Host);
        }
        let origin = one(headers, &ORIGIN).map_err(|()| TurnedAway::Origin)?;
        if !origin.is_none_or(|origin| self.is_origin(origin)) {
            return Err(TurnedAway::Origin);
        }
        let authorization = one(headers, &AUTHORIZATION).ok().flatten().unwrap_or_default();
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        let token = token.trim_ascii();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(TurnedAway::Token);
        }
        Ok(token.as_bytes())
    }

    fn is_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        self.hosts.iter().any(|known| *known == host || known == name)
    }

    /// A page of this machine, at any port, or a site that is named.
    fn is_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = origin.strip_prefix("http://").is_some_and(|host| {
            let name = without_port(host);
            let port = host.strip_prefix(name).unwrap_or_default();
            let port = port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_ok());
            LOOPBACK.contains(&name) && port
        });
        own || self.origins.contains(&origin)
    }

    /// What a token that was not good gets.
    pub fn wrong(&self) -> TurnedAway {
        let (turned, tell) = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).one_more();
        if tell {
            tracing::warn!(
                count = WRONG_TOKENS_PER_MINUTE,
                "wrong bearer tokens came within a minute; further ones are told to wait"
            );
        }
        turned
    }
}

/// `name` of `name:port`, and `[::1]` of `[::1]:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// A header that is there once or not at all, as text.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

impl IntoResponse for TurnedAway {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Host => (StatusCode::FORBIDDEN, "this host is not served here\n").into_response(),
            Self::Origin => (StatusCode::FORBIDDEN, "this origin may not call\n").into_response(),
            Self::Token => {
                let bearer = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
                (StatusCode::UNAUTHORIZED, bearer).into_response()
            }
            Self::TooMany => {
                let later = [(RETRY_AFTER, HeaderValue::from_static("60"))];
                (StatusCode::TOO_MANY_REQUESTS, later).into_response()
            }
        };
        // Whoever is refused holds no place with an idle connection.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

#[cfg(test)]
mod tests;
