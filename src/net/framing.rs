//! Frames on a stream: a length, four bytes big-endian, and then the frame.
//!
//! The length is checked before anything is allocated for it.

use iroh::endpoint::RecvStream;

use crate::base::limits;

const LENGTH_BYTES: usize = 4;
/// What a silent link holds.
const BUFFER_BYTES_MIN: usize = 4 * 1024;

/// A frame longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is {size} bytes; the limit is {limit}")]
pub struct TooLong {
    size: usize,
    limit: usize,
}

/// Bytes that arrived, of which frames are taken.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Before it: frames that were taken.
    start: usize,
    /// Behind it: space.
    end: usize,
    frame_bytes_max: usize,
}

impl FrameBuffer {
    /// An empty one.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        let bytes = vec![0; BUFFER_BYTES_MIN];
        Self { bytes, start: 0, end: 0, frame_bytes_max }
    }

    /// Space to read into. When the last read filled all there was, there is twice as much.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == 0 && self.bytes.len() > limits::READ_BUFFER_BYTES_MAX / 2 {
            self.bytes = vec![0; BUFFER_BYTES_MIN];
        }
        if self.end * 2 > self.bytes.len() {
            let size = (self.bytes.len() * 2).min(limits::READ_BUFFER_BYTES_MAX);
            self.bytes.resize(size, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So much of the space was filled.
    pub fn filled(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Takes the next whole frame, if it is here.
    ///
    /// # Errors
    /// When the frame that begins here is too long, whether or not the rest has arrived.
    pub fn take(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((length, rest)) = held.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let size = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if size > self.frame_bytes_max {
            return Err(TooLong { size, limit: self.frame_bytes_max });
        }
        let Some(frame) = rest.get(..size) else { return Ok(None) };
        self.start += LENGTH_BYTES + size;
        Ok(Some(frame))
    }

    /// A frame has begun to arrive.
    pub(super) const fn has_part(&self) -> bool {
        self.start < self.end
    }
}

/// A stream's reading end.
pub(super) struct FrameStream {
    stream: RecvStream,
    /// What was read of it.
    pub(super) buffer: FrameBuffer,
}

impl FrameStream {
    /// Frames of at most `frame_bytes_max` bytes.
    pub(super) fn new(stream: RecvStream, frame_bytes_max: usize) -> Self {
        Self { stream, buffer: FrameBuffer::new(frame_bytes_max) }
    }

    /// Waits for more bytes; false when there will be none. Nothing is lost when this is dropped.
    pub(super) async fn fill(&mut self) -> bool {
        match self.stream.read(self.buffer.space()).await {
            Ok(Some(count)) => {
                self.buffer.filled(count);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Waits for one whole frame. For the first frame of a stream, under a deadline.
    pub(super) async fn first(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.buffer.take().ok()? {
                return Some(frame.to_vec());
            }
            if !self.fill().await {
                return None;
            }
        }
    }
}

/// Adds a frame with its length before it.
pub fn put(bytes: &mut Vec<u8>, frame: &[u8]) {
    // Every frame is bounded far below 4 GiB by the wire's own limits.
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(buffer: &mut FrameBuffer, mut bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let space = buffer.space();
            assert!(!space.is_empty(), "there is always space to read into");
            let count = step.min(bytes.len()).min(space.len());
            space[..count].copy_from_slice(&bytes[..count]);
            buffer.filled(count);
            bytes = &bytes[count..];
            while let Some(frame) = buffer.take().unwrap() {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let sizes = [0, 1, 7, 4096, 5000, 60_000, limits::FRAME_BYTES_MAX, 3];
        let frames: Vec<Vec<u8>> = (1..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        let mut bytes = Vec::new();
        for frame in &frames {
            put(&mut bytes, frame);
        }
        for step in [1, 3, 1200, 100_000, usize::MAX] {
            let mut buffer = FrameBuffer::new(limits::FRAME_BYTES_MAX);
            assert_eq!(arrive(&mut buffer, &bytes, step), frames, "{step}");
            assert!(!buffer.has_part());
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_length_alone() {
        let mut buffer = FrameBuffer::new(512);
        arrive(&mut buffer, &[0, 0, 2], 3);
        assert!(buffer.has_part());
        buffer.space()[0] = 1;
        buffer.filled(1);
        assert_eq!(buffer.take(), Err(TooLong { size: 513, limit: 512 }));
    }

    #[test]
    fn a_burst_grows_the_buffer_to_its_bound_and_silence_shrinks_it() {
        let mut buffer = FrameBuffer::new(limits::FRAME_BYTES_MAX);
        let mut bytes = Vec::new();
        for _ in 0..2000 {
            put(&mut bytes, &[7; 1024]);
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = buffer.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
            assert!(buffer.bytes.len() <= limits::READ_BUFFER_BYTES_MAX);
            // As the reader does: all that is whole is taken before more is read.
            while buffer.take().unwrap().is_some() {}
        }
        buffer.space();
        assert!(buffer.bytes.len() <= limits::READ_BUFFER_BYTES_MAX / 2);
    }
}
