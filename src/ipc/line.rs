//! Lines of bounded length from a stream.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use crate::base::limits::LINE_BYTES_MAX;

/// Bytes that are kept from the two ends of a line that is too long.
const ENDS_BYTES: usize = 4096;

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// At most [`LINE_BYTES_MAX`] bytes.
    Whole(Vec<u8>),
    /// A longer one, of which only the two ends were kept.
    TooLong {
        /// Its first bytes.
        head: Vec<u8>,
        /// Its last bytes.
        tail: Vec<u8>,
    },
}

/// Reads lines, and never holds more than one.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    bytes: Vec<u8>,
    /// The head of a line that turned out too long; `bytes` is then what follows.
    head: Option<Vec<u8>>,
}

impl<R: AsyncBufRead + Unpin> LineReader<R> {
    /// Reads from `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, bytes: Vec::new(), head: None }
    }

    /// The stream behind, with whatever it has buffered.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The next line, or `None` at the end. Safe to cancel. A last line without its end is no
    /// line: its writer died within it.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            // From here to `consume` nothing awaits: a cancelled call loses no byte.
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            self.bytes.extend_from_slice(part);
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            self.shorten();
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn shorten(&mut self) {
        if self.head.is_none() && self.bytes.len() > LINE_BYTES_MAX {
            self.head = Some(self.bytes.iter().take(ENDS_BYTES).copied().collect());
        }
        if self.head.is_some() {
            let surplus = self.bytes.len().saturating_sub(ENDS_BYTES);
            self.bytes.drain(..surplus);
            self.bytes.shrink_to(2 * ENDS_BYTES);
        }
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.bytes);
        match self.head.take() {
            Some(head) => Line::TooLong { head, tail: bytes },
            None => Line::Whole(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_over_the_bound_is_told_and_the_next_one_is_read() {
        let long = "x".repeat(LINE_BYTES_MAX - 2) + "head-and-tail";
        let text = format!("one\n{long}\ntwo\nunfinished");
        let mut lines = LineReader::new(text.as_bytes());
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole(b"one".to_vec())));
        let Some(Line::TooLong { head, tail }) = lines.next().await.unwrap() else {
            panic!("the bound was not kept")
        };
        assert!(head.iter().all(|b| *b == b'x') && tail.ends_with(b"head-and-tail"));
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole(b"two".to_vec())));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
