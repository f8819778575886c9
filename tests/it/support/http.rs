//! An HTTP/1.1 client as bare as it can be (RFC 9112), for requests that no browser would send: any
//! method, path, headers and body, and parts of a request. Every read has an end.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::SOON;

/// How long one read waits before the time is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// More than any answer of ours.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A request that is being put together. It has a right `Host`, and asks for the connection's end.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    port: u16,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Any method at any path.
    pub(crate) fn new(port: u16, method: &str, path: &str) -> Self {
        let headers = vec![
            ("Host".to_owned(), format!("localhost:{port}")),
            ("Connection".to_owned(), "close".to_owned()),
        ];
        Self { port, method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() }
    }

    /// A page.
    pub(crate) fn get(port: u16, path: &str) -> Self {
        Self::new(port, "GET", path)
    }

    /// A form with these fields, from the page's own origin.
    pub(crate) fn form(port: u16, path: &str, fields: &[(&str, &str)]) -> Self {
        let field = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
        let body: Vec<String> = fields.iter().map(field).collect();
        Self::new(port, "POST", path)
            .header("Origin", &format!("http://localhost:{port}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.join("&").as_bytes())
    }

    /// Sets a header, in place of one of this name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.without(name).and_header(name, value)
    }

    /// Adds a header, beside one of this name.
    pub(crate) fn and_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the body, and its length.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header("Content-Length", &body.len().to_string())
    }

    /// The bytes that are sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }

    /// Sends it, and reads the answer whole.
    #[track_caller]
    pub(crate) fn send(&self) -> Response {
        self.try_send().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }

    /// Sends it, and reads the answer whole, where there is one.
    pub(crate) fn try_send(&self) -> io::Result<Response> {
        let mut connection = Connection::open(self.port)?;
        // Refused before its end was sent: the answer says why.
        connection.send(&self.bytes()).ok();
        connection.response(self.method != "HEAD")
    }
}

/// A text as `application/x-www-form-urlencoded` has it.
pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails unless the status is `status`.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }
}

/// A connection, for requests in parts and answers without an end.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects to the page's port.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(SOON))?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends no more.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Whether the other side ends the connection within `time`; what it says first is dropped.
    pub(crate) fn is_ended_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            match self.more() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Reads on; `false` at the end. A time that is over is [`io::ErrorKind::TimedOut`].
    fn more(&mut self) -> io::Result<bool> {
        let mut part = [0; 16 * 1024];
        match self.stream.read(&mut part) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.read.extend_from_slice(&part[..count]);
                assert!(self.read.len() <= BYTES_MAX, "an answer over {BYTES_MAX} bytes");
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads until `found` gives something; `None` when the connection ends first.
    fn until<T>(&mut self, found: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
        let until = Instant::now() + SOON;
        loop {
            if let Some(found) = found(&self.read) {
                return Ok(Some(found));
            }
            match self.more() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < until => {
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The status and the headers. What follows is left unread.
    pub(crate) fn head(&mut self) -> io::Result<Response> {
        let end =
            self.until(|read| place(read, b"\r\n\r\n"))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        Ok(Response { status, headers, body: Vec::new() })
    }

    /// Waits until `text` has come in a body without an end, such as a stream of events.
    pub(crate) fn body_has(&mut self, text: &str) -> bool {
        let found = self.until(|read| place(read, text.as_bytes()));
        matches!(found, Ok(Some(_)))
    }

    /// What stands behind `start`, in the first line of a body without an end that begins with it.
    pub(crate) fn body_line(&mut self, start: &str) -> Option<String> {
        let line = |read: &[u8]| {
            let text = String::from_utf8_lossy(read);
            let (rest, _) = text.split_once(start)?.1.split_once('\n')?;
            Some(rest.trim_end().to_owned())
        };
        self.until(line).ok()?
    }

    /// An answer whole. That to `HEAD` has no body, whatever its headers say.
    pub(crate) fn response(&mut self, has_body: bool) -> io::Result<Response> {
        let mut response = self.head()?;
        let length = response.header("content-length").and_then(|text| text.parse::<usize>().ok());
        let chunked = response.header("transfer-encoding").is_some_and(|how| how == "chunked");
        if !has_body || [204, 304].contains(&response.status) {
            return Ok(response);
        }
        response.body = if chunked {
            self.until(unchunked)?.ok_or(io::ErrorKind::UnexpectedEof)?
        } else if let Some(length) = length {
            let whole = |read: &[u8]| read.get(..length).map(<[u8]>::to_vec);
            self.until(whole)?.ok_or(io::ErrorKind::UnexpectedEof)?
        } else {
            self.until(|_| None::<()>)?;
            std::mem::take(&mut self.read)
        };
        Ok(response)
    }
}

fn place(read: &[u8], part: &[u8]) -> Option<usize> {
    read.windows(part.len()).position(|window| window == part)
}

/// A body in chunks (RFC 9112 section 7.1), once its last one is there.
fn unchunked(mut read: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = place(read, b"\r\n")?;
        let size = std::str::from_utf8(&read[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        body.extend_from_slice(read.get(end + 2..end + 2 + size)?);
        read = read.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some(body);
        }
    }
}

/// Serves one page at every path, until this is dropped.
pub(crate) struct Pages {
    port: u16,
    ended: Arc<AtomicBool>,
    server: Option<thread::JoinHandle<()>>,
}

/// See [`Pages`].
pub(crate) fn serve_pages(listener: TcpListener, html: &'static str) -> Pages {
    let port = listener.local_addr().unwrap().port();
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let server = thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if told.load(Ordering::SeqCst) {
                return;
            }
            // A browser opens connections before it needs them.
            thread::spawn(move || serve_page(stream, html));
        }
    });
    Pages { port, ended, server: Some(server) }
}

fn serve_page(stream: TcpStream, html: &str) {
    stream.set_read_timeout(Some(LOOK)).unwrap();
    let mut connection = Connection { stream, read: Vec::new() };
    if let Ok(Some(_)) = connection.until(|read| place(read, b"\r\n\r\n")) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
        let answer = format!("{head}Content-Length: {}\r\n\r\n{html}", html.len());
        connection.send(answer.as_bytes()).ok(); // Who asked may have gone.
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for somebody to come.
        if let (Ok(_), Some(server)) = (Connection::open(self.port), self.server.take()) {
            server.join().ok(); // A panic there shows by itself.
        }
    }
}

#[test]
fn an_answer_is_read_in_each_of_its_forms() {
    let answers: [(&str, &[u8]); 4] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        ("HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end", b"to the end"),
        ("HTTP/1.1 204 None\r\n\r\n", b""),
    ];
    for (answer, body) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut connection = Connection { stream, read: Vec::new() };
            connection.until(|read| place(read, b"a=b%20%26")).unwrap();
            connection.send(answer.as_bytes()).unwrap();
            connection.read
        });
        let form = Request::form(port, "/x?y", &[("a", "b &")]).without("Origin");
        let response = form.header("Host", "evil.example").send();
        assert_eq!(response.body, body, "{answer}");
        assert_eq!(response.status.to_string(), answer[9..12]);
        let sent = String::from_utf8(server.join().unwrap()).unwrap();
        assert!(sent.starts_with("POST /x?y HTTP/1.1\r\n"), "{sent}");
        assert!(sent.contains("Host: evil.example\r\n") && !sent.contains("Origin"), "{sent}");
    }
}

#[test]
fn a_request_can_be_sent_in_parts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pages = serve_pages(listener, "hello");
    let mut connection = Connection::open(port).unwrap();
    connection.send(b"GET / HT").unwrap();
    assert!(!connection.is_ended_within(Duration::from_millis(100)));
    connection.send(b"TP/1.1\r\n\r\n").unwrap();
    assert_eq!(connection.head().unwrap().expect(200).header("content-type"), Some("text/html"));
    assert!(connection.body_has("llo") && !connection.body_has("more"));
    assert!(connection.is_ended_within(SOON));
    let mut connection = Connection::open(port).unwrap();
    connection.end().unwrap();
    assert!(connection.is_ended_within(SOON));
    drop(pages);
}
