/// Puts whole lines together from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// A longer line than this is not waited for to its end: no event is, and memory is finite.
    pub(super) const LONGEST: usize = 64 << 10;

    /// Takes bytes; gives back all that ends in a newline, or more when there is none for long.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if self.partial.len() + bytes.len() > Self::LONGEST => bytes.len(),
            None => 0,
        };
        let (now, later) = bytes.split_at(whole);
        self.partial.extend_from_slice(now);
        let lines = (whole > 0).then(|| std::mem::take(&mut self.partial));
        self.partial.extend_from_slice(later);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_come_out_however_the_bytes_are_cut() {
        let text = b"one\ntwo\n\nthree\nfour";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let chunks: Vec<_> = text.chunks(size).filter_map(|piece| lines.push(piece)).collect();
            assert!(chunks.iter().all(|chunk| chunk.ends_with(b"\n")), "in pieces of {size}");
            assert_eq!(chunks.concat(), b"one\ntwo\n\nthree\n", "in pieces of {size}");
            assert_eq!(lines.partial, b"four");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut lines = Lines::default();
        let mut out = 0;
        for _ in 0..100 {
            out += lines.push(&[b'x'; 10_000]).map_or(0, |chunk| chunk.len());
            assert!(lines.partial.len() <= Lines::LONGEST);
        }
        assert_eq!(out + lines.partial.len(), 1_000_000);
    }
}
