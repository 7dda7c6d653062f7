//! What stands between marks in a text: code and quotations.

/// Stands in a text where code was taken out.
pub(super) const MARK: char = '\u{f8ff}';

/// Takes out what stands between backticks, one or three in a row, and leaves a [`MARK`].
pub(super) fn take_code(text: &str) -> (String, Vec<String>) {
    let mut rest = text;
    let (mut plain, mut code) = (String::with_capacity(text.len()), Vec::new());
    while let Some(start) = rest.find('`') {
        let fence = if rest[start..].starts_with("```") { "```" } else { "`" };
        let inner = &rest[start + fence.len()..];
        let Some(end) = inner.find(fence) else { break };
        plain.push_str(&rest[..start]);
        plain.push(MARK);
        code.push(inner[..end].trim().to_owned());
        rest = &inner[end + fence.len()..];
    }
    plain.push_str(rest);
    (plain, code)
}

/// What stands between quotation marks, in lower case.
pub(super) fn quotes(text: &str) -> Vec<String> {
    const MARKS: &[(char, char)] = &[
        ('"', '"'),
        ('\u{201c}', '\u{201d}'),
        ('«', '»'),
        ('„', '\u{201c}'),
        ('\'', '\''),
        ('\u{2018}', '\u{2019}'),
    ];
    let mut quotes = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let inner = &rest[c.len_utf8()..];
        let close = MARKS.iter().find(|(open, _)| *open == c).map(|(_, close)| *close);
        // An apostrophe inside a word opens nothing, nor does a mark before a space.
        let opens =
            close.filter(|_| !before.is_alphanumeric() && !inner.starts_with(char::is_whitespace));
        let end = opens.and_then(|close| {
            inner.char_indices().find(|(at, found)| {
                let behind = inner[at + found.len_utf8()..].chars().next();
                *found == close && behind.is_none_or(|c| !c.is_alphanumeric())
            })
        });
        match end {
            Some((at, close)) => {
                let quote = inner[..at].trim().trim_end_matches(['.', ',', '?', '!']);
                if !quote.is_empty() {
                    quotes.push(quote.to_lowercase());
                }
                rest = &inner[at + close.len_utf8()..];
                before = close;
            }
            None => {
                before = c;
                rest = inner;
            }
        }
    }
    quotes
}
