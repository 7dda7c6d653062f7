//! The answer's own arithmetic, done again: `9 * 2 = 18`.
//!
//! What stands on both sides of an equals sign is evaluated and compared. Units between numbers are
//! left out (`50 mm - 5 mm = 45 mm`), and nothing is concluded where a variable or a word stands in
//! the place of a number.

use super::number::{Number, same};
use super::tokens::{Token, Word};

/// Most operands and operators of an expression that wait for others.
const DEPTH: usize = 8;
/// Words between two numbers of one expression, at most.
const UNIT_WORDS: usize = 3;

/// What checking an answer's arithmetic found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Equations that hold.
    pub(super) right: usize,
    /// Those that hold once the result is rounded as it is written.
    pub(super) rounded: usize,
    /// Those that do not hold.
    pub(super) wrong: usize,
    /// Whether the last one held.
    pub(super) last_wrong: bool,
    /// Equations that could not be checked.
    pub(super) open: usize,
    /// Of the operators of expressions that were evaluated, how many add, subtract, multiply,
    /// divide.
    pub(super) operators: [usize; 4],
    /// Results that are not whole numbers.
    pub(super) broken: usize,
    /// Results below zero.
    pub(super) negative: usize,
    /// Most operators of one expression.
    pub(super) longest: usize,
}

/// What an expression comes to, with the number of its operators.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Value {
    value: f64,
    operators: usize,
    /// How it is written, where it is a single number.
    decimals: usize,
    percent: bool,
}

#[derive(Clone, Debug, Default)]
struct Expression {
    values: [f64; DEPTH],
    value_count: usize,
    pending: [u8; DEPTH],
    pending_count: usize,
    operators: [usize; 4],
    /// A number is expected next.
    after_operator: bool,
    after_word: bool,
    words: usize,
    /// Holds what cannot be evaluated.
    unknown: bool,
    /// A minus sign belongs to the next number.
    negated: bool,
    decimals: usize,
    percent: bool,
}

impl Expression {
    fn is_empty(&self) -> bool {
        self.value_count == 0
    }

    /// Holds no more than words.
    fn is_untouched(&self) -> bool {
        self.value_count == 0 && self.pending_count == 0 && !self.unknown && !self.negated
    }

    fn push(&mut self, value: f64) {
        match self.values.get_mut(self.value_count) {
            Some(place) => {
                *place = value;
                self.value_count += 1;
            }
            None => self.unknown = true,
        }
    }

    fn pop(&mut self) -> f64 {
        let Some(last) = self.value_count.checked_sub(1) else {
            self.unknown = true;
            return 0.0;
        };
        self.value_count = last;
        self.values.get(last).copied().unwrap_or(0.0)
    }

    fn top(&self) -> Option<u8> {
        self.pending.get(self.pending_count.checked_sub(1)?).copied()
    }

    fn wait(&mut self, operator: u8) {
        match self.pending.get_mut(self.pending_count) {
            Some(place) => {
                *place = operator;
                self.pending_count += 1;
            }
            None => self.unknown = true,
        }
    }

    /// Applies what waits, as long as it binds as tightly.
    fn settle(&mut self, binding: u8) {
        while let Some(operator) = self.top() {
            if operator == b'(' || precedence(operator) < binding {
                return;
            }
            self.pending_count -= 1;
            let (right, left) = (self.pop(), self.pop());
            let (kind, value) = match operator {
                b'+' => (0, left + right),
                b'-' => (1, left - right),
                b'*' => (2, left * right),
                b'/' => (3, left / right),
                _ => (2, libm::pow(left, right)),
            };
            if let Some(count) = self.operators.get_mut(kind) {
                *count += 1;
            }
            self.push(value);
        }
    }

    fn close(&mut self) {
        self.settle(0);
        if self.top() == Some(b'(') {
            self.pending_count -= 1;
        } else {
            self.unknown = true;
        }
        self.after_operator = false;
    }

    /// Its value; `None` where there is none.
    fn value(mut self) -> Option<(Value, [usize; 4])> {
        self.settle(0);
        if self.unknown || self.after_operator || self.pending_count > 0 || self.value_count != 1 {
            return None;
        }
        let value = self.pop();
        let operators = self.operators.iter().sum();
        let Expression { decimals, percent, .. } = self;
        value.is_finite().then_some((Value { value, operators, decimals, percent }, self.operators))
    }
}

fn precedence(operator: u8) -> u8 {
    match operator {
        b'+' | b'-' => 1,
        b'*' | b'/' => 2,
        _ => 3,
    }
}

/// Reads tokens in order and checks what they compute.
#[derive(Clone, Debug, Default)]
pub(super) struct Arithmetic {
    pub(super) tally: Tally,
    expression: Expression,
    /// The side before the last equals sign.
    before: Option<Value>,
    /// There was an equals sign in this chain.
    chained: bool,
    /// The last number that an equation resulted in.
    pub(super) result: Option<f64>,
}

impl Arithmetic {
    /// Takes the next token; `opens_line` where nothing came before it in its line.
    pub(super) fn take(&mut self, token: &Token, opens_line: bool) {
        match token {
            Token::Number(number) => self.number(number),
            Token::Word(word) => self.word(*word),
            Token::Operator { operator, spaced } => {
                if !(opens_line && *spaced && matches!(operator, b'-' | b'*' | b'+')) {
                    self.operator(*operator, *spaced);
                }
            }
            Token::Equals => self.equals(),
            Token::Nearly => {
                self.end();
            }
            Token::Open(b'(') => self.open(),
            Token::Close(b')') => {
                if self.expression.pending_count > 0 {
                    self.expression.close();
                }
            }
            Token::Dollar | Token::Other(b'*') => {}
            Token::Other(b'^') | Token::Command(_) | Token::Open(_) | Token::Close(_) => {
                self.expression.unknown = true;
            }
            Token::Calculation(_)
            | Token::Line { .. }
            | Token::Sentence(_)
            | Token::Pause(_)
            | Token::Quote
            | Token::Fence
            | Token::Hashes(_) => self.end(),
            Token::Other(_) => self.expression.after_word = true,
        }
    }

    /// Is an operator, or nothing more, expected next?
    pub(super) fn holds_value(&self) -> bool {
        !self.expression.is_empty() && !self.expression.after_operator
    }

    /// Is the next number the result of an equation?
    pub(super) fn awaits_result(&self) -> bool {
        self.chained && self.expression.is_empty() && !self.expression.after_operator
    }

    fn number(&mut self, number: &Number) {
        let expression = &self.expression;
        if !expression.is_empty() && !expression.after_operator {
            self.end();
        }
        let value = if number.percent { number.value / 100.0 } else { number.value };
        let expression = &mut self.expression;
        let negated = std::mem::take(&mut expression.negated);
        expression.push(if negated { -value } else { value });
        expression.after_operator = false;
        expression.after_word = false;
        expression.words = 0;
        expression.decimals = number.decimals + if number.percent { 2 } else { 0 };
        expression.percent = number.percent;
    }

    fn word(&mut self, word: Word) {
        const OF: u32 = super::tokens::word_hash("of");
        let expression = &mut self.expression;
        if word.hash == OF && expression.percent && !expression.after_operator {
            self.operator(b'*', true);
            return;
        }
        if word.length == 1 && word.joined || expression.after_operator {
            expression.unknown = true;
        }
        expression.words += 1;
        expression.after_word = true;
        if expression.words > UNIT_WORDS && !expression.is_empty() {
            self.end();
        }
    }

    fn operator(&mut self, operator: u8, spaced: bool) {
        let expression = &mut self.expression;
        let expects = expression.is_empty() || expression.after_operator;
        if expects {
            // A sign, where a number follows at once.
            if operator == b'-' && !spaced && !(expression.is_empty() && expression.after_word) {
                expression.negated = !expression.negated;
            } else {
                expression.unknown = true;
            }
            return;
        }
        if operator == b'-' && !spaced && expression.after_word {
            // A hyphen between words.
            return;
        }
        if operator == b'^' {
            expression.settle(4);
        } else {
            expression.settle(precedence(operator));
        }
        expression.wait(operator);
        expression.after_operator = true;
        expression.words = 0;
        expression.after_word = false;
    }

    fn open(&mut self) {
        let expression = &mut self.expression;
        if expression.is_empty() || expression.after_operator {
            if expression.after_word {
                // A remark: a calculation of its own begins.
                self.end();
            }
            self.expression.wait(b'(');
        } else {
            // Two factors, `2(3 + 4)`.
            expression.settle(precedence(b'*'));
            expression.wait(b'*');
            expression.wait(b'(');
            expression.after_operator = true;
        }
    }

    fn equals(&mut self) {
        let after_word = self.expression.after_word && self.expression.is_empty();
        let value = self.compare();
        self.before = if after_word { None } else { value };
        self.chained = true;
    }

    /// Ends a chain of equations.
    fn end(&mut self) {
        self.compare();
        self.before = None;
        self.chained = false;
    }

    /// Compares the expression that ends here with the side before it.
    fn compare(&mut self) -> Option<Value> {
        if self.expression.is_untouched() {
            self.expression.after_word = false;
            self.expression.words = 0;
            return None;
        }
        let expression = std::mem::take(&mut self.expression);
        let found = expression.value();
        let Some((value, operators)) = found else {
            self.tally.open += usize::from(self.chained);
            return None;
        };
        for (sum, count) in self.tally.operators.iter_mut().zip(operators) {
            *sum += count;
        }
        self.tally.longest = self.tally.longest.max(value.operators);
        if self.chained {
            self.result = Some(value.value);
            let whole = (value.value - value.value.round()).abs() < 1e-9;
            self.tally.broken += usize::from(!whole);
            self.tally.negative += usize::from(value.value < 0.0);
            if let Some(before) = self.before {
                self.judge(before, value);
            }
        }
        Some(value)
    }

    fn judge(&mut self, before: Value, after: Value) {
        if before.operators == 0 && after.operators == 0 {
            return;
        }
        let tally = &mut self.tally;
        let agree = |a: f64, b: f64| same(a, b);
        let (a, b) = (before.value, after.value);
        let exact = agree(a, b) || (after.percent && agree(a, b * 100.0));
        let step = (0..after.decimals.min(9)).fold(1.0, |step, _| step / 10.0);
        let near =
            (a - b).abs() <= 0.51 * step || (after.percent && (a - b * 100.0).abs() <= 51.0 * step);
        tally.last_wrong = false;
        if exact {
            tally.right += 1;
        } else if near {
            tally.rounded += 1;
        } else {
            tally.wrong += 1;
            tally.last_wrong = true;
        }
    }
}
