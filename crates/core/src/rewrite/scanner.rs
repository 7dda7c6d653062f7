//! Walks over JSON without looking at it closer than it must.

use memchr::memchr2;

use crate::prompt::json::BYTE_ORDER_MARK;

/// Where something stands in a body.
pub(super) type Range = std::ops::Range<usize>;

pub(super) struct Scanner<'b> {
    pub(super) body: &'b [u8],
    pub(super) position: usize,
}

impl Scanner<'_> {
    /// To behind the brace that opens an object; in front of it, only a byte order mark and white
    /// space may stand.
    pub(super) fn open_object(&mut self) -> Option<()> {
        if self.body.starts_with(BYTE_ORDER_MARK) {
            self.position = BYTE_ORDER_MARK.len();
        }
        self.skip_space();
        self.expect(b'{')
    }

    /// To behind a member's value; gives where its name and its value stand.
    pub(super) fn skip_member(&mut self) -> Option<(Range, Range)> {
        self.skip_space();
        let start = self.position;
        self.skip_string()?;
        let name = start..self.position;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        let start = self.position;
        self.skip_value()?;
        Some((name, start..self.position))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.position).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    pub(super) fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.position += memchr2(b'"', b'\\', self.body.get(self.position..)?)?;
            if self.next()? == b'"' {
                return Some(());
            }
            self.next()?;
        }
    }

    /// To behind a value. Brackets are counted, not matched: the parser has refused what does not
    /// match.
    pub(super) fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.position += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.position += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.position += 1;
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' => {
                    self.position += 1;
                    continue;
                }
                b',' | b':' => return None,
                _ => self.skip_scalar()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A number, `true`, `false` or `null`: only what ends it is known here.
    pub(super) fn skip_scalar(&mut self) -> Option<()> {
        let rest = self.body.get(self.position..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        self.position += rest.iter().position(ends)?;
        Some(())
    }
}
