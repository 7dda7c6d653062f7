//! The signs of other scripts and of typesetting, as plain ones.

/// Digits and signs as ASCII: "−5", "１５", "1½", "10⁸".
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The last sign that is no white space.
    let mut last = ' ';
    let mut raised = false;
    for c in text.chars() {
        let power =
            raised_digit(c).filter(|_| raised || plain.ends_with(|c: char| c.is_ascii_digit()));
        if let Some(digit) = power {
            // Only behind a number: "m²" is a unit.
            if !raised {
                plain.push('^');
            }
            plain.push(digit);
            raised = true;
            last = digit;
            continue;
        }
        raised = false;
        if let Some(fraction) = fraction(c) {
            if plain.ends_with(|c: char| c.is_ascii_digit()) {
                plain.push(' ');
            }
            plain.push_str(fraction);
            last = '0';
            continue;
        }
        let c = match ascii_digit(c) {
            '\u{2212}' => '-',
            // Between digits it is a range, elsewhere a sign.
            '\u{2013}' if !last.is_ascii_digit() => '-',
            '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
            '\u{2019}' | '\u{2032}' => '\'',
            '\u{201d}' | '\u{2033}' => '"',
            c => c,
        };
        if !c.is_whitespace() {
            last = c;
        }
        plain.push(c);
    }
    plain
}

/// The ASCII digit of a digit of another script, and of full-width signs.
fn ascii_digit(c: char) -> char {
    const ZEROS: [u32; 6] = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
    let code = u32::from(c);
    let digit =
        ZEROS.iter().find(|&&zero| (zero..zero + 10).contains(&code)).map(|zero| code - zero);
    match (digit.and_then(|digit| char::from_digit(digit, 10)), c) {
        (Some(digit), _) => digit,
        (None, '\u{ff01}'..='\u{ff5e}') => char::from_u32(code - 0xfee0).unwrap_or(c),
        (None, c) => c,
    }
}

/// ⁸ and ⁻ as what they raise to.
fn raised_digit(c: char) -> Option<char> {
    const RAISED: [char; 11] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹', '⁻'];
    let place = RAISED.iter().position(|it| *it == c)?;
    "0123456789-".chars().nth(place)
}

fn fraction(c: char) -> Option<&'static str> {
    Some(match c {
        '½' => "1/2",
        '⅓' => "1/3",
        '⅔' => "2/3",
        '¼' => "1/4",
        '¾' => "3/4",
        '⅕' => "1/5",
        '⅖' => "2/5",
        '⅗' => "3/5",
        '⅘' => "4/5",
        '⅙' => "1/6",
        '⅚' => "5/6",
        '⅛' => "1/8",
        '⅜' => "3/8",
        '⅝' => "5/8",
        '⅞' => "7/8",
        _ => return None,
    })
}
