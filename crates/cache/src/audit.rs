//! Pairs of questions that must not be answered alike, made by the thousand.
//!
//! Each kind takes a question from a template and changes the one thing that matters. Templates
//! come in groups that ask the same in other words, so that half of the pairs differ in wording
//! too. Names, verbs and topics are drawn from lists that the guards do not know, and half of the
//! questions are in lower case, where spelling gives no name away.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::matcher::Matcher;

/// The result for one kind of change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindResult {
    pub name: &'static str,
    pub pairs: usize,
    /// Pairs that would hit on similarity alone.
    pub similar: usize,
    /// Pairs that a guard refuses.
    pub refused: usize,
    /// Pairs that hit: wrong answers.
    pub hits: Vec<(String, String)>,
}

/// A group of templates that ask the same. `{n}` is a number, `{p}` and `{q}` are names, `{x}` and
/// `{y}` things that a relation joins, `{not}` stands where a negation can.
type Group = &'static [&'static str];

const NUMBERS: &[Group] = &[
    &["What is {n} percent of 640?", "How much is {n}% of 640?"],
    &["Give me {n} ideas for a birthday party", "List {n} birthday party ideas"],
    &["What happened in the year {n}?", "Tell me what happened in {n}"],
    &["How do I cook rice for {n} people?", "What is the way to cook rice for {n} guests?"],
    &["Is {n} a prime number?", "Can you check whether {n} is prime?"],
    &["Convert {n} miles to kilometers", "How many kilometers are {n} miles?"],
    &[
        "What are the side effects of {n} mg of ibuprofen?",
        "Which side effects does ibuprofen {n} mg have?",
    ],
    &["How many calories are in {n} eggs?", "What is the calorie count of {n} eggs?"],
    &["Write a poem with {n} lines about the sea", "Please write a {n} line poem on the sea"],
    &["How do I save ${n} in a year?", "What is the best way to save {n} dollars in a year?"],
    &["Explain chapter {n} of the book", "Summarize chapter {n} in the book"],
    &["What does HTTP status {n} mean?", "What is the meaning of the HTTP status {n}?"],
];

const NEGATIONS: &[Group] = &[
    &["Why is the sky {not}blue at noon?", "What is the reason that the sky is {not}blue at noon?"],
    &[
        "Which birds can {not}fly long distances?",
        "What are birds that can {not}fly long distances?",
    ],
    &[
        "What foods should I {not}eat before surgery?",
        "Which foods should one {not}eat before surgery?",
    ],
    &[
        "Is it {not}safe to drink tap water here?",
        "Would you say tap water is {not}safe to drink here?",
    ],
    &[
        "When should I {not}use a global variable?",
        "In which cases should I {not}use a global variable?",
    ],
    &["Why did the treaty {not}end the war?", "For what reason did the treaty {not}end the war?"],
    &["Which metals are {not}magnetic?", "What metals are {not}magnetic?"],
    &["How do I know that I am {not}pregnant?", "How can I tell that I am {not}pregnant?"],
    &[
        "What does it mean when a matrix is {not}invertible?",
        "What is meant by a matrix that is {not}invertible?",
    ],
    &[
        "Who is {not}allowed to vote in the election?",
        "Which people are {not}allowed to vote in the election?",
    ],
];

const ENTITIES: &[Group] = &[
    &["Who founded {p}?", "Who was the founder of {p}?"],
    &["What is the population of {p}?", "How big is the population of {p}?"],
    &["How do I get a refund from {p}?", "What is the way to get a refund at {p}?"],
    &["Is {p} a good place to work?", "Would you say {p} is a good place to work?"],
    &["What did {p} write about freedom?", "What has {p} written on freedom?"],
    &["When was {p} born?", "What is the birth date of {p}?"],
    &["How do I install {p} on my laptop?", "What are the steps to install {p} on my laptop?"],
    &["What are the main exports of {p}?", "Which goods does {p} mainly export?"],
    &["Tell me a story about {p}", "Please tell me some story about {p}"],
    &["How do I cook {p}?", "What is a way to cook {p}?"],
];

const NAMES: &[&str] = &[
    "Zendesk",
    "Ljubljana",
    "Ouagadougou",
    "Stripe",
    "Plaid",
    "Hannah Arendt",
    "John Rawls",
    "Grafana",
    "Nagios",
    "Tirana",
    "Vaduz",
    "Simone Weil",
    "Baruch Spinoza",
    "Kibana",
    "Maputo",
    "Lusaka",
    "Montevideo",
    "Asana",
    "Trello",
    "Notion",
    "Blender",
    "Inkscape",
    "Audacity",
    "quinoa",
    "lentils",
    "salmon",
    "tofu",
    "cabbage",
    "Marie Curie",
    "Niels Bohr",
    "Oslo",
    "Bergen",
    "Airtable",
    "Shopify",
    "Etsy",
    "Reykjavik",
    "Bamako",
    "Edith Stein",
    "polenta",
];

const RELATIONS: &[Group] = &[
    &[
        "How long is the drive from {x} to {y}?",
        "How much time does it take to drive from {x} to {y}?",
    ],
    &["Is {x} better than {y}?", "Would you say {x} is better than {y}?"],
    &["How do I convert {x} to {y}?", "What is the way to convert {x} into {y}?"],
    &["Is it true that {x} comes from {y}?", "Does {x} really come from {y}?"],
    &["Does {x} cause {y}?", "Can {x} cause {y}?"],
    &["What does {x} owe to {y}?", "How much is it that {x} owes {y}?"],
    &["Should I learn {x} before {y}?", "Is it wise to learn {x} before {y}?"],
    &["Why did {x} attack {y}?", "For what reason did {x} attack {y}?"],
    &["How is {x} derived from {y}?", "In what way is {x} derived from {y}?"],
    &["Translate this sentence from {x} to {y}", "Please translate the sentence from {x} into {y}"],
    &[
        "In the great war of the last century over trade and harbours, why did {x} attack {y}?",
        "Why did {x} attack {y} in the great war of the last century over trade and harbours?",
    ],
    &[
        "By the rules of the old league and its council, does {x} owe tribute and ships to {y}?",
        "Does {x} owe tribute and ships to {y} by the rules of the old league and its council?",
    ],
    &[
        "When both are taken in the first term of a science degree, does {x} help with {y}?",
        "Does {x} help with {y} when both are taken in the first term of a science degree?",
    ],
];

const THINGS: &[(&str, &str)] = &[
    ("Ljubljana", "Trieste"),
    ("Bergen", "Stavanger"),
    ("algebra", "geometry"),
    ("stress", "insomnia"),
    ("inflation", "unemployment"),
    ("XML", "YAML"),
    ("Quechua", "Aymara"),
    ("Sparta", "Corinth"),
    ("tea", "coffee"),
    ("Alice", "Bob"),
    ("poverty", "crime"),
    ("Grafana", "Kibana"),
    ("energy", "mass"),
    ("anxiety", "depression"),
    ("Basque", "Catalan"),
    ("calculus", "statistics"),
    ("wolves", "bears"),
    ("Blender", "Maya"),
    ("TCP", "UDP"),
];

/// Pairs that must not hit, of one kind.
#[derive(Clone, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub pairs: Vec<(String, String)>,
}

/// Makes `count` pairs, a quarter of each kind. The same seed makes the same.
pub fn pairs(count: usize, seed: u64) -> Vec<Kind> {
    type Make = fn(&mut SmallRng) -> (String, String);
    let kinds: [(&'static str, Make); 4] = [
        ("number", changed_number),
        ("negation", negation),
        ("entity", other_entity),
        ("relation", reversed_relation),
    ];
    let mut random = SmallRng::seed_from_u64(seed);
    let made = kinds.iter().enumerate().map(|(at, (name, make))| {
        let pairs = count / kinds.len() + usize::from(at < count % kinds.len());
        let pairs = (0..pairs).map(|_| {
            let (a, b) = make(&mut random);
            style(&mut random, a, b)
        });
        Kind { name, pairs: pairs.collect() }
    });
    made.collect()
}

/// Judges pairs.
pub fn audit(matcher: &Matcher, kinds: Vec<Kind>) -> Vec<KindResult> {
    let judge = |Kind { name, pairs }: Kind| {
        let mut result =
            KindResult { name, pairs: pairs.len(), similar: 0, refused: 0, hits: Vec::new() };
        for (a, b) in pairs {
            let verdict = matcher.judge(&matcher.question(&a), &matcher.question(&b));
            result.similar += usize::from(verdict.similarity >= matcher.calibration.threshold);
            result.refused += usize::from(verdict.guards.is_err());
            if matcher.hits(&verdict) {
                result.hits.push((a, b));
            }
        }
        result
    };
    kinds.into_iter().map(judge).collect()
}

/// Two templates of one group; half of the time the same one.
fn templates(random: &mut SmallRng, groups: &[Group]) -> (&'static str, &'static str) {
    let pick = |random: &mut SmallRng, group: Group| group.choose(random).copied().unwrap_or("");
    let group = groups.choose(random).copied().unwrap_or(&[]);
    let a = pick(random, group);
    (a, if random.random_bool(0.5) { a } else { pick(random, group) })
}

fn changed_number(random: &mut SmallRng) -> (String, String) {
    let (a, b) = templates(random, NUMBERS);
    let n: u32 = if random.random_bool(0.5) {
        random.random_range(2..20)
    } else {
        random.random_range(20..2000)
    };
    let step: u32 = *[1, 2, 10, 100].choose(random).unwrap_or(&1);
    (a.replace("{n}", &n.to_string()), b.replace("{n}", &(n + step).to_string()))
}

fn negation(random: &mut SmallRng) -> (String, String) {
    let (a, b) = templates(random, NEGATIONS);
    let (plain, denied) = (a.replace("{not}", ""), b.replace("{not}", "not "));
    if random.random_bool(0.5) { (plain, denied) } else { (denied, plain) }
}

fn other_entity(random: &mut SmallRng) -> (String, String) {
    let (a, b) = templates(random, ENTITIES);
    let mut names = NAMES.choose_multiple(random, 2);
    let (p, q) = (names.next().unwrap_or(&""), names.next().unwrap_or(&""));
    (a.replace("{p}", p), b.replace("{p}", q))
}

fn reversed_relation(random: &mut SmallRng) -> (String, String) {
    let (a, b) = templates(random, RELATIONS);
    let (x, y) = *THINGS.choose(random).unwrap_or(&("", ""));
    (a.replace("{x}", x).replace("{y}", y), b.replace("{x}", y).replace("{y}", x))
}

/// Half of the pairs are in lower case and without their last sign.
fn style(random: &mut SmallRng, a: String, b: String) -> (String, String) {
    if random.random_bool(0.5) {
        return (a, b);
    }
    let casual = |text: String| text.to_lowercase().trim_end_matches('?').to_owned();
    (casual(a), casual(b))
}

#[cfg(test)]
mod tests {
    use super::super::{Calibration, Embedder};
    use super::*;

    #[test]
    fn what_must_not_hit_does_not() {
        let matcher = Matcher::new(Embedder::built_in().unwrap(), Calibration::built_in().unwrap());
        for kind in audit(&matcher, pairs(2000, 42)) {
            assert!(kind.similar > 0, "{} pairs test nothing: none is similar", kind.name);
            assert!(kind.hits.len() * 1000 <= kind.pairs, "{}: {:?}", kind.name, kind.hits);
        }
    }
}
