//! One question and its answer over the socket without a runtime, for a command that has to be
//! gone within milliseconds.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{Answer, Asked, ClientError, HELLO, Hello, Role, Welcome, to_line};
use crate::{
    base::limits::LINE_BYTES_MAX,
    node::{api::Request, config::Home},
};

/// Asks the node of `home` one thing. Each wait for it takes at most `limit`.
///
/// # Errors
/// [`ClientError::NoNode`] when none runs; what the node answers, or what broke.
pub fn ask_once<T: DeserializeOwned>(
    home: &Home,
    request: Request,
    limit: Duration,
) -> Result<T, ClientError> {
    let none = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
    let mut stream = UnixStream::connect(home.socket_file()).map_err(|error| {
        if none.contains(&error.kind()) { ClientError::NoNode } else { ClientError::Io(error) }
    })?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let asked = Asked { id: 1, request, wait_seconds: None };
    stream.write_all(&[to_line(&Hello::of(Role::Client)), to_line(&asked)].concat())?;
    // Two lines: the welcome and the answer.
    let most = u64::try_from(2 * LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut lines = BufReader::new(stream.take(most));
    let welcome: Welcome = next(&mut lines)?;
    if welcome.hello != HELLO {
        let problem = format!("it speaks version {} of the socket's protocol", welcome.hello);
        return Err(ClientError::Protocol(problem));
    }
    let answer: Answer<T> = next(&mut lines)?;
    if let Some(error) = answer.error {
        return Err(ClientError::Api(error));
    }
    answer.reply.ok_or_else(|| ClientError::Protocol("neither a reply nor an error".to_owned()))
}

fn next<T: DeserializeOwned>(lines: &mut impl io::BufRead) -> Result<T, ClientError> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(|error| ClientError::Protocol(error.to_string()))
}
