//! Who does what to whom, where one of the two is the one who asks: "can I sue my landlord", "can my
//! landlord sue me".

use std::collections::BTreeMap;

use super::super::facts::{HELPING, Kind, QuestionFacts, Word, is_of, sense};

/// Persons by the words for them as who does something, and as to whom it is done.
const PERSONS: [(&[&str], &[&str]); 4] = [
    (&["i"], &["me", "myself"]),
    (&["we"], &["us", "ourselves"]),
    (&["he"], &["him", "himself"]),
    (&["they"], &["them", "themselves"]),
];
/// Forms of one verb that only say whose it is, and persons as subject and as object.
const FORMS: [(&str, &[&str]); 8] = [
    ("i", &["me"]),
    ("we", &["us"]),
    ("he", &["him"]),
    ("they", &["them"]),
    ("is", &["am", "are"]),
    ("was", &["were"]),
    ("do", &["does"]),
    ("have", &["has"]),
];
const BE: &str = "am is are was were be been being get getting";
/// Verbs that carry no content elsewhere.
const VERBS: &str = "like know need want give show tell let get";
/// What may stand between what is done and the person it is done to.
const AT: &str = "to at on for with of about";
/// Participles of what one is, and has not been done to one.
const STATES: &str = "interested married related connected prepared started registered enrolled involved \
    engaged focused motivated organized organised logged signed settled qualified scared frightened bored tired annoyed \
    disappointed worried attracted attached obsessed";
/// Participles that do not end in "ed" or "en".
const PARTICIPLES: &str =
    "hit hurt paid told taught caught left sold sent held kept shot bit cut led fed";

/// The word for all forms of what differs by who does it: "does" and "do", "me" and "I".
pub(super) fn person_free(word: &str) -> &str {
    FORMS.iter().find(|(_, forms)| forms.contains(&word)).map_or(word, |(first, _)| first)
}

/// What a person has to do with something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Part {
    does: bool,
    suffers: bool,
}

/// Whether a person does something in one text, and has it done to them in the other.
pub(super) fn changes_part(a: &QuestionFacts, b: &QuestionFacts) -> bool {
    PERSONS.iter().any(|person| {
        let (here, there) = (parts(a, *person), parts(b, *person));
        here.iter()
            .filter_map(|(verb, part)| Some((part, there.get(verb)?)))
            .any(|(x, y)| x.does != y.does && x.suffers != y.suffers && x.does != x.suffers)
    })
}

/// The parts that a person has, by the sense of the verb.
fn parts<'a>(
    facts: &'a QuestionFacts,
    (subjects, objects): (&[&str], &[&str]),
) -> BTreeMap<&'a str, Part> {
    let mut parts: BTreeMap<&str, Part> = BTreeMap::new();
    for at in 0..facts.words.len() {
        if subjects.contains(&facts.at(at))
            && let Some((verb, passive)) = done_by(facts, at)
        {
            let part = parts.entry(root(verb)).or_default();
            part.does |= !passive;
            part.suffers |= passive;
        }
        if objects.contains(&facts.at(at))
            && let Some(verb) = done_to(facts, at)
        {
            parts.entry(root(verb)).or_default().suffers = true;
        }
    }
    parts
}

/// What the person at this place does, and whether it is in the passive.
fn done_by(facts: &QuestionFacts, at: usize) -> Option<(&Word, bool)> {
    let behind = facts.words.get(at + 1..)?;
    let helps = |(place, word): &(usize, &Word)| match &*word.text {
        "need" | "want" => facts.at(at + place + 2) == "to",
        word => is_of(HELPING, word) || is_of(BE, word) || word.ends_with("ly"),
    };
    let helping = behind.iter().enumerate().take_while(helps).count();
    let verb = behind.get(helping).filter(|word| is_verb(word))?;
    let mut between = behind.iter().take(helping).map(|word| &*word.text);
    let before = at.checked_sub(1).map_or("", |before| facts.at(before));
    let be = is_of(BE, before) || between.any(|word| is_of(BE, word));
    Some((verb, be && is_participle(&verb.text)))
}

/// What is done to the person at this place.
fn done_to(facts: &QuestionFacts, at: usize) -> Option<&Word> {
    let before = |back: usize| at.checked_sub(back).and_then(|at| facts.words.get(at));
    let back = if is_of(AT, &before(1)?.text) { 2 } else { 1 };
    before(back).filter(|word| is_verb(word))
}

/// What forms of a verb are compared as. A verb too short for a stem is one too: "sued", "sue".
fn root(verb: &Word) -> &str {
    let short = verb.text.strip_suffix('d').filter(|_| verb.sense() == verb.text);
    short.map_or_else(|| verb.sense(), sense)
}

fn is_verb(word: &Word) -> bool {
    word.kind == Kind::Plain && (word.is_content() || is_of(VERBS, &word.text))
}

fn is_participle(word: &str) -> bool {
    let formed = word.ends_with("ed") || word.ends_with("en") || is_of(PARTICIPLES, word);
    formed && !is_of(STATES, word)
}
