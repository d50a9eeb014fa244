//! Keeps the beginning and the end of a stream of unknown length in bounded memory.

use std::collections::VecDeque;

/// The first and the last bytes of a stream: a quarter of the room for the head, the rest for the tail.
#[derive(Debug)]
pub struct Capped {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_room: usize,
    tail_room: usize,
    dropped: u64,
}

impl Capped {
    /// Makes room for `room` bytes.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let head_room = room / 4;
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_room,
            tail_room: room - head_room,
            dropped: 0,
        }
    }

    /// Takes the next bytes; the oldest of the tail make room.
    pub fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_room - self.head.len()));
        self.head.extend_from_slice(first);
        let skipped = rest.len().saturating_sub(self.tail_room);
        let rest = &rest[skipped..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_room);
        self.tail.drain(..excess);
        self.tail.extend(rest);
        self.dropped += (skipped + excess) as u64;
    }

    /// Returns what was kept, with one line in place of what was dropped.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        let mut all = self.head;
        if self.dropped > 0 {
            all.extend_from_slice(
                format!("\n[... {} bytes dropped ...]\n", self.dropped).as_bytes(),
            );
        }
        all.extend(self.tail);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut capped = Capped::new(100);
        capped.push(b"hello ");
        capped.push(b"world");
        assert_eq!(capped.into_bytes(), b"hello world");
    }

    #[test]
    fn a_long_stream_keeps_both_ends_and_counts_the_middle() {
        for chunk in [1_usize, 3, 7, 50, 1000] {
            let all: Vec<u8> = (0..1000_u32)
                .map(|n| u8::try_from(n % 251).unwrap())
                .collect();
            let mut capped = Capped::new(40);
            all.chunks(chunk).for_each(|part| capped.push(part));
            let kept = capped.into_bytes();
            assert!(kept.starts_with(&all[..10]), "chunks of {chunk}");
            assert!(kept.ends_with(&all[970..]), "chunks of {chunk}");
            assert!(
                String::from_utf8_lossy(&kept).contains("960 bytes dropped"),
                "chunks of {chunk}"
            );
        }
    }
}
