//! Numbers in digits, with what they count.

use super::lists;

pub(super) struct Units {
    pub(super) prefix: Option<&'static str>,
    pub(super) suffix: Option<&'static str>,
}

/// `$1,000`, `5km`, `10%`, `3rd`: canonical digits and what they count. What counts nothing may be a
/// version, of which 3.10 is another than 3.1: its digits stay as they are.
pub(super) fn quantity(core: &str) -> Option<(String, Units)> {
    let (prefix, rest) = match core.chars().next()? {
        '$' => (Some("usd"), &core[1..]),
        c @ ('€' | '£' | '¥') => {
            (lists::unit(core.get(..c.len_utf8())?), &core[c.len_utf8()..])
        }
        _ => (None, core),
    };
    let end = rest
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_digit() || matches!(c, '.' | ',')))
        .map_or(rest.len(), |(at, _)| at);
    let (digits, tail) = rest.split_at(end);
    let digits = digits.trim_end_matches(['.', ',']);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.matches('.').count() > 1 {
        return None;
    }
    let mut number = digits.replace(',', "");
    if prefix.is_some() || digits.contains(',') {
        drop_idle_zeros(&mut number);
    }
    let tail = tail.to_lowercase();
    let suffix = match &*tail {
        "st" if number == "1" => {
            number = lists::FIRST.to_owned();
            None
        }
        "" | "st" | "nd" | "rd" | "th" | "s" => None,
        // A magnitude belongs to the number.
        "k" => {
            number.push('k');
            None
        }
        tail => {
            let unit = lists::unit(tail)?;
            drop_idle_zeros(&mut number);
            Some(unit)
        }
    };
    Some((number, Units { prefix, suffix }))
}

/// An amount of 2.50 is one of 2.5.
pub(super) fn drop_idle_zeros(number: &mut String) {
    if number.contains('.') {
        number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
    }
}
