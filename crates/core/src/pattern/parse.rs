//! The text of a pattern to a tree.

use std::iter::Peekable;
use std::str::Chars;

use super::PatternError;
use super::set::{Class, Set, class};

/// How deeply groups may nest.
const MAX_DEPTH: usize = 32;
/// Most repetitions of `{n}`.
const MAX_REPEAT: u32 = 1000;

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Empty,
    One(Set),
    Assert(Assertion),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Repeat { tree: Box<Tree>, least: u32, most: Option<u32> },
}

/// Something that holds between two characters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    /// A word begins or ends here, or not.
    WordEdge(bool),
    WordStart,
    WordEnd,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    ignores_case: bool,
    lines: bool,
    dot_is_all: bool,
    spaced: bool,
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
    flags: Flags,
    depth: usize,
}

pub(super) fn parse(pattern: &str) -> Result<Tree, PatternError> {
    let mut parser = Parser { rest: pattern.chars().peekable(), flags: Flags::default(), depth: 0 };
    let tree = parser.alternatives()?;
    match parser.rest.next() {
        None => Ok(tree),
        Some(other) => Err(PatternError::Unopened(other)),
    }
}

impl Parser<'_> {
    fn take(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn alternatives(&mut self) -> Result<Tree, PatternError> {
        let mut trees = vec![self.sequence()?];
        while self.take('|') {
            trees.push(self.sequence()?);
        }
        Ok(if trees.len() == 1 { trees.pop().unwrap_or(Tree::Empty) } else { Tree::Any(trees) })
    }

    fn sequence(&mut self) -> Result<Tree, PatternError> {
        let mut trees = Vec::new();
        loop {
            if self.flags.spaced {
                self.skip_space();
            }
            match self.rest.peek() {
                None | Some('|' | ')') => return Ok(Tree::All(trees)),
                Some(_) => {}
            }
            let tree = self.atom()?;
            trees.push(self.repeated(tree)?);
        }
    }

    fn skip_space(&mut self) {
        while let Some(letter) = self.rest.next_if(|it| it.is_whitespace() || *it == '#') {
            if letter == '#' {
                while self.rest.next_if(|it| *it != '\n').is_some() {}
            }
        }
    }

    fn atom(&mut self) -> Result<Tree, PatternError> {
        let Some(letter) = self.rest.next() else { return Ok(Tree::Empty) };
        Ok(match letter {
            '(' => self.group()?,
            '[' => Tree::One(self.set()?),
            '.' => {
                let line_feed = if self.flags.dot_is_all { vec![] } else { vec![('\n', '\n')] };
                Tree::One(Set { ranges: line_feed, negated: true, ..Set::default() })
            }
            '^' if self.flags.lines => Tree::Assert(Assertion::LineStart),
            '^' => Tree::Assert(Assertion::TextStart),
            '$' if self.flags.lines => Tree::Assert(Assertion::LineEnd),
            '$' => Tree::Assert(Assertion::TextEnd),
            '*' | '+' | '?' => return Err(PatternError::NothingToRepeat(letter)),
            '{' => return Err(PatternError::NothingToRepeat(letter)),
            '\\' => self.escape()?,
            _ => self.literal(letter),
        })
    }

    fn literal(&self, letter: char) -> Tree {
        let mut set = self.own(Set::default());
        set.add(letter, letter);
        Tree::One(set)
    }

    fn own(&self, set: Set) -> Set {
        Set { ignores_case: self.flags.ignores_case, ..set }
    }

    fn repeated(&mut self, mut tree: Tree) -> Result<Tree, PatternError> {
        loop {
            if self.flags.spaced {
                self.skip_space();
            }
            let (least, most) = if self.take('*') {
                (0, None)
            } else if self.take('+') {
                (1, None)
            } else if self.take('?') {
                (0, Some(1))
            } else if self.take('{') {
                self.bounds()?
            } else {
                return Ok(tree);
            };
            // As few as possible or as many: whether there is a match is the same.
            self.take('?');
            tree = Tree::Repeat { tree: Box::new(tree), least, most };
        }
    }

    fn bounds(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        let least = self.number()?;
        let most = if self.take(',') { self.number()? } else { least };
        if !self.take('}') {
            return Err(PatternError::Unclosed("a repetition"));
        }
        let least = least.unwrap_or(0);
        match most {
            Some(most) if most < least => Err(PatternError::Reversed),
            most => Ok((least, most)),
        }
    }

    fn number(&mut self) -> Result<Option<u32>, PatternError> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|letter| letter.to_digit(10)) {
            self.rest.next();
            let next = number.unwrap_or(0) * 10 + digit;
            if next > MAX_REPEAT {
                return Err(PatternError::TooLarge);
            }
            number = Some(next);
        }
        Ok(number)
    }

    /// What follows an opening parenthesis.
    fn group(&mut self) -> Result<Tree, PatternError> {
        let outside = self.flags;
        if self.take('?') && !self.named()? {
            let mut on = true;
            loop {
                let unclosed = PatternError::Unclosed("a group");
                match self.rest.next().ok_or(unclosed)? {
                    ':' => break,
                    // From here on, to the end of the group around.
                    ')' => return Ok(Tree::Empty),
                    '-' => on = false,
                    'i' => self.flags.ignores_case = on,
                    'm' => self.flags.lines = on,
                    's' => self.flags.dot_is_all = on,
                    'x' => self.flags.spaced = on,
                    // Which match is found does not matter, and letters are Unicode's anyway.
                    'U' => {}
                    'u' if on => {}
                    other => return Err(PatternError::UnknownFlag(other)),
                }
            }
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PatternError::TooDeep);
        }
        let tree = self.alternatives()?;
        self.depth -= 1;
        self.flags = outside;
        if self.take(')') { Ok(tree) } else { Err(PatternError::Unclosed("a group")) }
    }

    /// Skips the name of a group, `P<name>` or `<name>`.
    fn named(&mut self) -> Result<bool, PatternError> {
        let python = self.take('P');
        if !self.take('<') {
            return if python { Err(PatternError::UnknownFlag('P')) } else { Ok(false) };
        }
        let mut first = true;
        loop {
            match self.rest.next() {
                Some('>') if !first => return Ok(true),
                Some(letter) if letter.is_alphanumeric() || letter == '_' => first = false,
                // `(?<=` and `(?<!` look behind, which takes more than linear time.
                Some(other) => return Err(PatternError::UnknownFlag(other)),
                None => return Err(PatternError::Unclosed("a group")),
            }
        }
    }

    /// What follows a backslash outside of a set.
    fn escape(&mut self) -> Result<Tree, PatternError> {
        let letter = self.rest.next().ok_or(PatternError::TrailingBackslash)?;
        Ok(match letter {
            'A' => Tree::Assert(Assertion::TextStart),
            'z' => Tree::Assert(Assertion::TextEnd),
            'B' => Tree::Assert(Assertion::WordEdge(false)),
            '<' => Tree::Assert(Assertion::WordStart),
            '>' => Tree::Assert(Assertion::WordEnd),
            'b' if self.rest.peek() == Some(&'{') => {
                let name: String = self.rest.by_ref().take_while(|it| *it != '}').collect();
                match name.as_str() {
                    "{start" => Tree::Assert(Assertion::WordStart),
                    "{end" => Tree::Assert(Assertion::WordEnd),
                    _ => return Err(PatternError::UnknownClass(format!("\\b{name}}}"))),
                }
            }
            'b' => Tree::Assert(Assertion::WordEdge(true)),
            _ => match class(letter) {
                Some(class) => Tree::One(Set { classes: vec![class], ..Set::default() }),
                None => {
                    let letter = self.escaped(letter)?;
                    self.literal(letter)
                }
            },
        })
    }

    /// The character that an escape sequence stands for.
    fn escaped(&mut self, letter: char) -> Result<char, PatternError> {
        Ok(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'x' => self.numbered(2)?,
            'u' => self.numbered(4)?,
            'U' => self.numbered(8)?,
            _ if letter.is_alphanumeric() => return Err(PatternError::UnknownEscape(letter)),
            _ => letter,
        })
    }

    /// `{hex}`, or as many hexadecimal digits.
    fn numbered(&mut self, digits: usize) -> Result<char, PatternError> {
        let text: String = if self.take('{') {
            self.rest.by_ref().take_while(|letter| *letter != '}').collect()
        } else {
            self.rest.by_ref().take(digits).collect()
        };
        let number = u32::from_str_radix(&text, 16).ok();
        number.and_then(char::from_u32).ok_or(PatternError::NoCharacter)
    }

    /// What follows an opening bracket.
    fn set(&mut self) -> Result<Set, PatternError> {
        let unclosed = || PatternError::Unclosed("a set");
        let mut set = self.own(Set::default());
        set.negated = self.take('^');
        let mut first = true;
        loop {
            let letter = self.rest.next().ok_or_else(unclosed)?;
            match letter {
                ']' if !first => return Ok(set),
                '[' if self.take(':') => self.ascii_class(&mut set)?,
                // A set within the set would be read as another.
                '[' => return Err(PatternError::UnknownClass("[…[".to_owned())),
                '&' | '~' if self.rest.peek() == Some(&letter) => {
                    return Err(PatternError::UnknownClass(format!("{letter}{letter}")));
                }
                _ => self.range(letter, &mut set)?,
            }
            first = false;
        }
    }

    fn range(&mut self, letter: char, set: &mut Set) -> Result<(), PatternError> {
        let low = match self.member(letter)? {
            Ok(low) => low,
            Err(class) => {
                set.classes.push(class);
                return Ok(());
            }
        };
        let mut ahead = self.rest.clone();
        let dashed = ahead.next() == Some('-') && ahead.peek().is_some_and(|it| *it != ']');
        if !dashed {
            set.add(low, low);
            return Ok(());
        }
        self.rest.next();
        let letter = self.rest.next().ok_or(PatternError::Unclosed("a set"))?;
        match self.member(letter)? {
            Ok(high) if low <= high => set.add(low, high),
            _ => return Err(PatternError::Reversed),
        }
        Ok(())
    }

    /// A character of a set, or a class.
    fn member(&mut self, letter: char) -> Result<Result<char, (Class, bool)>, PatternError> {
        if letter != '\\' {
            return Ok(Ok(letter));
        }
        let letter = self.rest.next().ok_or(PatternError::TrailingBackslash)?;
        match class(letter) {
            Some(class) => Ok(Err(class)),
            None => self.escaped(letter).map(Ok),
        }
    }

    /// `[:alpha:]` and the like, behind `[:`.
    fn ascii_class(&mut self, set: &mut Set) -> Result<(), PatternError> {
        let wanted = !self.take('^');
        let name: String = self.rest.by_ref().take_while(|letter| *letter != ']').collect();
        let is: fn(&char) -> bool = match name.as_str() {
            "alnum:" => char::is_ascii_alphanumeric,
            "alpha:" => char::is_ascii_alphabetic,
            "ascii:" => char::is_ascii,
            "blank:" => |letter| matches!(letter, ' ' | '\t'),
            "cntrl:" => char::is_ascii_control,
            "digit:" => char::is_ascii_digit,
            "graph:" => char::is_ascii_graphic,
            "lower:" => char::is_ascii_lowercase,
            "print:" => |letter| matches!(letter, ' '..='~'),
            "punct:" => char::is_ascii_punctuation,
            "space:" => |letter| matches!(letter, ' ' | '\t'..='\r'),
            "upper:" => char::is_ascii_uppercase,
            "word:" => |letter| letter.is_ascii_alphanumeric() || *letter == '_',
            "xdigit:" => char::is_ascii_hexdigit,
            _ => return Err(PatternError::UnknownClass(format!("[:{name}]"))),
        };
        set.classes.push((Class::Ascii(is), wanted));
        Ok(())
    }
}
