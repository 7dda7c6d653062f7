//! Decisions that wait to be posted.

/// Lines of bounded size. A request only appends; when there is no room, the line is dropped and
/// counted.
#[derive(Debug)]
pub struct Buffer {
    waiting: Vec<u8>,
    /// Posted and not yet confirmed.
    posted: Vec<u8>,
    limit: usize,
}

/// Most bytes of one post: what the control plane takes at once.
const BATCH: usize = 512 * 1024;

impl Buffer {
    /// An empty buffer for `limit` bytes, those that are on their way included.
    pub fn new(limit: usize) -> Self {
        Buffer { waiting: Vec::new(), posted: Vec::new(), limit }
    }

    /// Appends a line; `false` when it had to be dropped.
    pub fn push(&mut self, line: &[u8]) -> bool {
        if self.waiting.len() + self.posted.len() + line.len() >= self.limit {
            return false;
        }
        self.waiting.extend_from_slice(line);
        self.waiting.push(b'\n');
        true
    }

    /// The lines to post now; `None` when there are none, or some are on their way.
    pub fn post(&mut self) -> Option<&[u8]> {
        if !self.posted.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let end = if self.waiting.len() <= BATCH {
            self.waiting.len()
        } else {
            let head = self.waiting.get(..BATCH).unwrap_or_default();
            let end = memchr::memrchr(b'\n', head).or_else(|| memchr::memchr(b'\n', &self.waiting));
            end.map_or(self.waiting.len(), |end| end + 1)
        };
        let rest = self.waiting.split_off(end);
        self.posted = std::mem::replace(&mut self.waiting, rest);
        Some(&self.posted)
    }

    /// The post arrived.
    pub fn confirm(&mut self) {
        self.posted = Vec::new();
    }

    /// The post did not arrive, or nobody knows: the lines go again, before the others. Ids make
    /// this harmless.
    pub fn retry(&mut self) {
        let waiting = std::mem::replace(&mut self.waiting, std::mem::take(&mut self.posted));
        self.waiting.extend_from_slice(&waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_until_their_post_is_confirmed() {
        let mut buffer = Buffer::new(100);
        assert!(buffer.push(b"one") && buffer.push(b"two"));
        assert_eq!(buffer.post(), Some(&b"one\ntwo\n"[..]));
        assert!(buffer.push(b"three"));
        assert_eq!(buffer.post(), None, "one post at a time");
        buffer.retry();
        assert_eq!(buffer.post(), Some(&b"one\ntwo\nthree\n"[..]));
        buffer.confirm();
        assert_eq!(buffer.post(), None);
    }

    #[test]
    fn memory_is_bounded_while_nobody_answers() {
        let mut buffer = Buffer::new(64);
        let kept = (0..1000).filter(|_| buffer.push(b"a decision")).count();
        assert_eq!(kept, 5);
        buffer.post();
        assert!(!buffer.push(b"a decision"), "what is on its way counts");
    }

    #[test]
    fn a_long_queue_goes_in_whole_lines() {
        let mut buffer = Buffer::new(10 * BATCH);
        let line = vec![b'x'; 1000];
        while buffer.push(&line) {}
        let mut lines = 0;
        while let Some(batch) = buffer.post() {
            assert!(batch.len() <= BATCH && batch.ends_with(b"x\n"));
            lines += batch.len() / 1001;
            buffer.confirm();
        }
        assert_eq!(lines, 10 * BATCH / 1001);
    }
}
