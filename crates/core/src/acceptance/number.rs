//! Numbers as people write them.

/// A number of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    /// Digits behind the point.
    pub(super) decimals: usize,
    /// A percent sign follows.
    pub(super) percent: bool,
    /// What follows directly is no letter: not the 3 of `3rd` and `2x`.
    pub(super) whole: bool,
}

/// Digits that a number may have; what follows counts as zeros.
const DIGITS: usize = 18;

/// Reads the number that `bytes` begin with, and its length in bytes, which is at least 1.
///
/// Commas between groups of three digits belong to it, as do the digits behind a point.
pub(super) fn read(bytes: &[u8]) -> (Number, usize) {
    let (mut value, mut digits, mut length) = (0.0_f64, 0, 0);
    let mut grouped = false;
    let mut decimals = None;
    while let Some(&byte) = bytes.get(length) {
        let after = bytes.get(length + 1..).unwrap_or_default();
        match byte {
            b'0'..=b'9' => {
                let digit = f64::from(byte - b'0');
                match &mut decimals {
                    Some(places) if *places < DIGITS => {
                        *places += 1;
                        value += digit * power_of_tenth(*places);
                    }
                    Some(_) => {}
                    None if digits < 2 * DIGITS => {
                        digits += 1;
                        value = value * 10.0 + digit;
                    }
                    None => {}
                }
            }
            b',' if decimals.is_none() && is_group(after) && (grouped || digits <= 3) => {
                grouped = true
            }
            b'.' if decimals.is_none() && after.first().is_some_and(u8::is_ascii_digit) => {
                decimals = Some(0);
            }
            _ => break,
        }
        length += 1;
    }
    let percent = matches!(bytes.get(length..), Some([b'%', ..] | [b'\\', b'%', ..]));
    let escaped = percent && bytes.get(length) == Some(&b'\\');
    let end = length + usize::from(percent) + usize::from(escaped);
    let whole = !bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
    (Number { value, decimals: decimals.unwrap_or(0), percent, whole }, end.max(1))
}

/// Three digits and no fourth.
fn is_group(bytes: &[u8]) -> bool {
    bytes.len() >= 3
        && bytes.iter().take(3).all(u8::is_ascii_digit)
        && !bytes.get(3).is_some_and(u8::is_ascii_digit)
}

fn power_of_tenth(places: usize) -> f64 {
    (0..places).fold(1.0, |power, _| power / 10.0)
}

/// Are two numbers the same, up to rounding errors of the machine?
pub(super) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3)
}

/// Places of a set of numbers, and how many of them may be taken.
const PLACES: usize = 128;
const MOST: usize = 96;
const FREE: i64 = i64::MIN;

/// A set of numbers with a mark for each: of more than it holds, the first ones. Numbers that agree to
/// a ten thousandth are one.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// A hash table, in ten thousandths.
    keys: [i64; PLACES],
    length: usize,
    marks: u128,
    largest: f64,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers { keys: [FREE; PLACES], length: 0, marks: 0, largest: 0.0 }
    }
}

/// A number as the sets compare it; what is too large becomes the largest.
fn key(value: f64) -> i64 {
    (value * 10_000.0 + 0.5) as i64
}

impl Numbers {
    /// Adds a number.
    pub(super) fn add(&mut self, value: f64) {
        let (place, found) = self.find(value);
        if found || self.length >= MOST {
            return;
        }
        if let Some(free) = self.keys.get_mut(place) {
            *free = key(value);
            self.length += 1;
            self.largest = self.largest.max(value);
        }
    }

    /// Where a number is, or would be.
    fn find(&self, value: f64) -> (usize, bool) {
        let key = key(value);
        let mixed = (key.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut place = (mixed >> 57) as usize % PLACES;
        while let Some(&own) = self.keys.get(place) {
            if own == key || own == FREE {
                return (place, own == key);
            }
            place = (place + 1) % PLACES;
        }
        (place, false)
    }

    pub(super) fn has(&self, value: f64) -> bool {
        self.find(value).1
    }

    /// Whether the number is in the set; marks it then.
    pub(super) fn mark(&mut self, value: f64) -> bool {
        let (place, found) = self.find(value);
        if found {
            self.marks |= 1 << (place % PLACES);
        }
        found
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn marked(&self) -> usize {
        self.marks.count_ones() as usize
    }

    pub(super) fn largest(&self) -> f64 {
        self.largest
    }
}
