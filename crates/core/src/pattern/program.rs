//! A tree to a program, and the program held against a text.

use super::PatternError;
use super::letters::in_word;
use super::parse::{Assertion, Tree};
use super::set::Set;

/// Most steps of a program: what one character of a text may cost.
const MAX_STEPS: usize = 2048;

#[derive(Clone, Debug)]
pub(super) struct Program(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    /// A character, then the next step.
    One(Set),
    Assert(Assertion),
    /// The next step, or another.
    Or(usize),
    Go(usize),
    Match,
}

impl Program {
    pub(super) fn of(tree: &Tree) -> Result<Self, PatternError> {
        let mut program = Program(Vec::new());
        program.compile(tree)?;
        program.push(Step::Match)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize, PatternError> {
        if self.0.len() >= MAX_STEPS {
            return Err(PatternError::TooLarge);
        }
        self.0.push(step);
        Ok(self.0.len() - 1)
    }

    /// Has a jump lead behind what is here now.
    fn land(&mut self, jump: usize) {
        let here = self.0.len();
        if let Some(Step::Or(to) | Step::Go(to)) = self.0.get_mut(jump) {
            *to = here;
        }
    }

    fn compile(&mut self, tree: &Tree) -> Result<(), PatternError> {
        match tree {
            Tree::Empty => {}
            Tree::One(set) => {
                self.push(Step::One(set.clone()))?;
            }
            Tree::Assert(assertion) => {
                self.push(Step::Assert(*assertion))?;
            }
            Tree::All(trees) => {
                for tree in trees {
                    self.compile(tree)?;
                }
            }
            Tree::Any(trees) => {
                let mut ends = Vec::new();
                for (number, tree) in trees.iter().enumerate() {
                    if number + 1 == trees.len() {
                        self.compile(tree)?;
                        break;
                    }
                    let or = self.push(Step::Or(0))?;
                    self.compile(tree)?;
                    ends.push(self.push(Step::Go(0))?);
                    self.land(or);
                }
                ends.into_iter().for_each(|end| self.land(end));
            }
            Tree::Repeat { tree, least, most } => self.repeat(tree, *least, *most)?,
        }
        Ok(())
    }

    fn repeat(&mut self, tree: &Tree, least: u32, most: Option<u32>) -> Result<(), PatternError> {
        for _ in 0..least {
            let before = self.0.len();
            self.compile(tree)?;
            // Nothing, however often, is nothing.
            if self.0.len() == before {
                return Ok(());
            }
        }
        match most {
            None => {
                let again = self.push(Step::Or(0))?;
                self.compile(tree)?;
                self.push(Step::Go(again))?;
                self.land(again);
            }
            Some(most) => {
                let mut ends = Vec::new();
                for _ in least..most {
                    ends.push(self.push(Step::Or(0))?);
                    self.compile(tree)?;
                }
                ends.into_iter().for_each(|end| self.land(end));
            }
        }
        Ok(())
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let mut threads = Threads::new(self.0.len());
        let mut next = Threads::new(self.0.len());
        let mut before = None;
        let mut rest = text.chars();
        loop {
            let after = rest.clone().next();
            if self.follow(0, &mut threads, before, after) {
                return true;
            }
            let Some(letter) = rest.next() else { return false };
            let behind = rest.clone().next();
            for &at in &threads.waiting {
                let Some(Step::One(set)) = self.0.get(at) else { continue };
                if set.contains(letter) && self.follow(at + 1, &mut next, Some(letter), behind) {
                    return true;
                }
            }
            std::mem::swap(&mut threads, &mut next);
            next.clear();
            before = Some(letter);
        }
    }

    /// Adds all steps that wait for a character and are reached from `start` without one, between
    /// the characters `before` and `after`; true when the end is reached.
    fn follow(
        &self,
        start: usize,
        threads: &mut Threads,
        before: Option<char>,
        after: Option<char>,
    ) -> bool {
        threads.open.push(start);
        while let Some(at) = threads.open.pop() {
            if !threads.reach(at) {
                continue;
            }
            match self.0.get(at) {
                Some(Step::One(_)) => threads.waiting.push(at),
                Some(Step::Assert(assertion)) if holds(*assertion, before, after) => {
                    threads.open.push(at + 1);
                }
                Some(Step::Or(other)) => threads.open.extend([at + 1, *other]),
                Some(Step::Go(to)) => threads.open.push(*to),
                Some(Step::Match) => return true,
                Some(Step::Assert(_)) | None => {}
            }
        }
        false
    }
}

fn holds(assertion: Assertion, before: Option<char>, after: Option<char>) -> bool {
    let [left, right] = [before, after].map(|letter| letter.is_some_and(in_word));
    match assertion {
        Assertion::TextStart => before.is_none(),
        Assertion::TextEnd => after.is_none(),
        Assertion::LineStart => before.is_none_or(|letter| letter == '\n'),
        Assertion::LineEnd => after.is_none_or(|letter| letter == '\n'),
        Assertion::WordEdge(wanted) => (left != right) == wanted,
        Assertion::WordStart => !left && right,
        Assertion::WordEnd => left && !right,
    }
}

/// Where in the program a text may be.
struct Threads {
    waiting: Vec<usize>,
    open: Vec<usize>,
    /// A bit a step.
    reached: Vec<u64>,
}

impl Threads {
    fn new(steps: usize) -> Self {
        let reached = vec![0; steps.div_ceil(64)];
        Threads { waiting: Vec::new(), open: Vec::new(), reached }
    }

    /// Marks a step; false when it was marked before.
    fn reach(&mut self, at: usize) -> bool {
        let Some(word) = self.reached.get_mut(at / 64) else { return false };
        let bit = 1 << (at % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.reached.fill(0);
    }
}
