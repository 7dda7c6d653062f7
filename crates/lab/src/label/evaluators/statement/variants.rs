//! What is written in two ways and means the same: British and American spelling, and a few
//! abbreviations. Where the question asks for the writing itself, each is what it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::super::regex;

/// Which variants the texts of a question are read with.
pub struct Variants {
    pub spelling: bool,
    /// The question in lower case, where abbreviations are expanded.
    question: Option<String>,
}

impl Variants {
    /// Without a question, nobody knows that the writing does not matter.
    pub fn of(question: &str) -> Self {
        static WRITING: LazyLock<Regex> = LazyLock::new(|| {
            regex(concat!(
                r"(?i)\b(?:(?:mis)?spel[lt]\w*|typos?|british|american|anglici[sz]\w*|orthograph\w*|letters?|rhym\w*|anagrams?",
                r"|crosswords?|exact\w*|verbatim|quot\w*|css|html|sql|python|java\w*|cod(?:e|es|ing)|scripts?|functions?|methods?",
                r"|keywords?|commands?|tags?|attributes?|propert(?:y|ies)|class(?:es)?|api|librar(?:y|ies)|variables?|parameters?",
                r"|fields?|identifiers?|syntax|programming)\b|`",
            ))
        });
        static SHORT_FORM: LazyLock<Regex> = LazyLock::new(|| {
            regex(concat!(
                r"(?i)\b(?:abbreviat\w*|acronyms?|initial\w*|(?:stands?|short) for|formulas?|formulae|symbols?|full (?:name|form)",
                r"|expan[ds]\w*|spel[lt]\w*|letters?|codes?|iso|domains?|exact\w*|verbatim|quot\w*)\b",
            ))
        });
        let known = !question.trim().is_empty();
        let expands = known && !SHORT_FORM.is_match(question);
        Variants {
            spelling: known && !WRITING.is_match(question),
            question: expands.then(|| question.to_lowercase()),
        }
    }

    /// The text with its abbreviations in words, but for those that the question itself is about.
    pub fn expand<'a>(&self, text: &'a str) -> Cow<'a, str> {
        static SHORT: LazyLock<Regex> = LazyLock::new(|| {
            let names: Vec<&str> = SHORT_FORMS.iter().map(|it| it.0).collect();
            regex(&format!(r"\b(?:{})\b", names.join("|")))
        });
        static LONG: LazyLock<Regex> = LazyLock::new(|| {
            let names: Vec<&str> = LONG_FORMS.iter().map(|it| it.0).collect();
            regex(&format!(r"(?i)\b(?:{})\b", names.join("|")))
        });
        static TITLE: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(Dr|Mt|St)\.? (\p{Lu})"));
        let Some(question) = &self.question else { return text.into() };
        // Of capitals alone, "US" may be a pronoun.
        let shouts = text.contains(' ') && !text.contains(char::is_lowercase);
        if shouts {
            return text.into();
        }
        let by = |table, found: &Captures| {
            long_form(table, question, &found[0]).unwrap_or(&found[0]).to_owned()
        };
        let text = SHORT.replace_all(text, |found: &Captures| by(SHORT_FORMS, found));
        let text = LONG.replace_all(&text, |found: &Captures| by(LONG_FORMS, found));
        let title = |found: &Captures| {
            let word = match &found[1] {
                "Dr" => "doctor",
                "Mt" => "mount",
                _ => "saint",
            };
            format!("{word} {}", &found[2])
        };
        TITLE.replace_all(&text, title).into_owned().into()
    }
}

/// The words that an abbreviation stands for, unless the question names either.
fn long_form(
    table: &[(&'static str, &'static str)],
    question: &str,
    found: &str,
) -> Option<&'static str> {
    let (short, long) = table.iter().find(|it| it.0.eq_ignore_ascii_case(found))?;
    let mut words = question.split(|c: char| !c.is_alphanumeric());
    let is_asked = question.contains(long) || words.any(|word| word.eq_ignore_ascii_case(short));
    (!is_asked).then_some(*long)
}

/// Abbreviations that mean one thing, in capitals.
const SHORT_FORMS: &[(&str, &str)] = &[
    ("USA", "united states"),
    ("US", "united states"),
    ("UK", "united kingdom"),
    ("EU", "european union"),
    ("UN", "united nations"),
    ("UAE", "united arab emirates"),
    ("USSR", "soviet union"),
    ("NYC", "new york city"),
    ("NATO", "north atlantic treaty organization"),
    ("NASA", "national aeronautics and space administration"),
    ("WHO", "world health organization"),
    ("IMF", "international monetary fund"),
    ("FBI", "federal bureau of investigation"),
    ("CIA", "central intelligence agency"),
    ("WWI", "world war 1"),
    ("WW1", "world war 1"),
    ("WWII", "world war 2"),
    ("WW2", "world war 2"),
    ("DNA", "deoxyribonucleic acid"),
    ("RNA", "ribonucleic acid"),
    ("ATP", "adenosine triphosphate"),
    ("CO2", "carbon dioxide"),
    ("H2O", "water"),
    ("AI", "artificial intelligence"),
    ("CPU", "central processing unit"),
    ("GPU", "graphics processing unit"),
    ("RAM", "random access memory"),
    ("GDP", "gross domestic product"),
    ("GPS", "global positioning system"),
    ("LED", "light emitting diode"),
    ("TV", "television"),
];

const LONG_FORMS: &[(&str, &str)] = &[
    ("united states of america", "united states"),
    ("union of soviet socialist republics", "soviet union"),
    ("first world war", "world war 1"),
    ("second world war", "world war 2"),
];

/// Words, and how the other side of the Atlantic writes them.
const WORDS: &str = "grey gray tyre tire tyres tires plough plow ploughs plows programme program programmes programs cheque check \
    cheques checks kerb curb sceptic skeptic sceptical skeptical scepticism skepticism mould mold moulds molds moustache mustache \
    pyjamas pajamas doughnut donut doughnuts donuts aeroplane airplane aeroplanes airplanes maths math judgement judgment \
    acknowledgement acknowledgment ageing aging cosy cozy learnt learned burnt burned dreamt dreamed catalogue catalog \
    catalogues catalogs dialogue dialog dialogues dialogs analogue analog analogues analogs defence defense defences defenses \
    offence offense offences offenses licence license licences licenses pretence pretense practise practice practises practices \
    practised practiced practising practicing jewellery jewelry fulfil fulfill fulfils fulfills fulfilment fulfillment \
    enrol enroll enrols enrolls enrolment enrollment skilful skillful wilful willful instalment installment instalments \
    installments artefact artifact artefacts artifacts liquorice licorice omelette omelet yoghurt yogurt mum mom towards toward";

/// Parts of words. None of them stands in a word that both sides write alike.
const PARTS: [(&str, &str); 39] = [
    ("colour", "color"),
    ("honour", "honor"),
    ("favour", "favor"),
    ("labour", "labor"),
    ("neighbour", "neighbor"),
    ("flavour", "flavor"),
    ("behaviour", "behavior"),
    ("humour", "humor"),
    ("rumour", "rumor"),
    ("harbour", "harbor"),
    ("vapour", "vapor"),
    ("vigour", "vigor"),
    ("savour", "savor"),
    ("tumour", "tumor"),
    ("armour", "armor"),
    ("ardour", "ardor"),
    ("candour", "candor"),
    ("clamour", "clamor"),
    ("demeanour", "demeanor"),
    ("endeavour", "endeavor"),
    ("fervour", "fervor"),
    ("parlour", "parlor"),
    ("rancour", "rancor"),
    ("splendour", "splendor"),
    ("odour", "odor"),
    ("valour", "valor"),
    ("haem", "hem"),
    ("aemia", "emia"),
    ("paed", "ped"),
    ("oestr", "estr"),
    ("oesoph", "esoph"),
    ("foetus", "fetus"),
    ("foetal", "fetal"),
    ("gynaec", "gynec"),
    ("anaesth", "anesth"),
    ("archaeolog", "archeolog"),
    ("diarrhoea", "diarrhea"),
    ("aluminium", "aluminum"),
    ("sulph", "sulf"),
];

/// Ends of words in -re.
const IN_RE: [(&str, &str); 12] = [
    ("centre", "center"),
    ("theatre", "theater"),
    ("metre", "meter"),
    ("litre", "liter"),
    ("fibre", "fiber"),
    ("calibre", "caliber"),
    ("lustre", "luster"),
    ("meagre", "meager"),
    ("sombre", "somber"),
    ("spectre", "specter"),
    ("sabre", "saber"),
    ("manoeuvre", "maneuver"),
];

/// Words whose last l is doubled before an ending.
const IN_L: &str = "travel cancel model label fuel signal level tunnel total dial channel quarrel panel marvel counsel jewel equal rival";

/// The spelling of a word in lower case that its variants have in common: the American one, or one
/// that no dictionary has ("promize"). Two words that mean different things keep different ones.
pub fn common_spelling(word: &str) -> Cow<'_, str> {
    static TABLE: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    });
    if word.len() < 3 || !word.is_ascii() {
        return word.into();
    }
    if let Some(american) = TABLE.get(word) {
        return (*american).into();
    }
    for (british, american) in IN_RE {
        for ending in ["", "s", "d"] {
            let stem = word.strip_suffix(ending).and_then(|it| it.strip_suffix(british));
            if let Some(stem) = stem {
                let ending = if ending == "d" { "ed" } else { ending };
                return format!("{stem}{american}{ending}").into();
            }
        }
    }
    let parted = PARTS.iter().find(|(british, _)| word.contains(british));
    let word: Cow<str> = match parted {
        Some((british, american)) => word.replace(british, american).into(),
        None => word.into(),
    };
    // "prise" and "prize" are two words: what is left of a verb has three letters.
    for (british, american, least, endings) in [
        ("is", "iz", 3, "e es ed er ers ing ation ations ational"),
        ("lys", "lyz", 2, "e es ed er ers ing"),
    ] {
        for ending in endings.split(' ') {
            let stem = word.strip_suffix(ending).and_then(|it| it.strip_suffix(british));
            if let Some(stem) = stem.filter(|stem| stem.len() >= least) {
                return format!("{stem}{american}{ending}").into();
            }
        }
    }
    for stem in IN_L.split(' ') {
        if let Some(ending) = word.strip_prefix(stem).and_then(|rest| rest.strip_prefix('l'))
            && ["ed", "ing", "ings", "er", "ers", "or", "ors", "ous", "ously"].contains(&ending)
        {
            return format!("{stem}{ending}").into();
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_the_atlantic_write_the_same_word() {
        for pair in [
            "colour color",
            "colours colors",
            "favourite favorite",
            "unfavourable unfavorable",
            "neighbourhood neighborhood",
            "centre center",
            "centred centered",
            "kilometres kilometers",
            "theatre theater",
            "analyse analyze",
            "analysing analyzing",
            "paralysed paralyzed",
            "organise organize",
            "organisation organization",
            "realised realized",
            "globalisation globalization",
            "travelled traveled",
            "modelling modeling",
            "counsellor counselor",
            "marvellous marvelous",
            "defence defense",
            "grey gray",
            "catalogue catalog",
            "anaemia anemia",
            "haemoglobin hemoglobin",
            "paediatric pediatric",
            "leukaemia leukemia",
            "aluminium aluminum",
            "sulphur sulfur",
            "manoeuvres maneuvers",
            "oestrogen estrogen",
            "programme program",
            "ionised ionized",
        ] {
            let (british, american) = pair.split_once(' ').expect("two words");
            assert_eq!(common_spelling(british), common_spelling(american), "{pair}");
        }
    }

    #[test]
    fn different_words_stay_different() {
        for pair in [
            "prise prize",
            "prises prizes",
            "four for",
            "tour tor",
            "hour hor",
            "filled filed",
            "calling caling",
            "rise rice",
            "advise advice",
            "raise raze",
            "size seize",
            "poise prize",
            "hypoglycaemia hyperglycaemia",
            "colour colon",
            "centre century",
            "meter liter",
            "labelled labored",
            "organised disorganised",
            "coloured colourless",
            "analysis analyst",
            "devise device",
            "rises rice",
            "model modal",
            "equalled equal",
        ] {
            let (a, b) = pair.split_once(' ').expect("two words");
            assert_ne!(common_spelling(a), common_spelling(b), "{pair}");
        }
    }

    #[test]
    fn abbreviations_are_expanded_unless_they_are_what_is_asked_for() {
        let expand = |question: &str, text: &str| Variants::of(question).expand(text).into_owned();
        for (text, expanded) in [
            ("the US", "the united states"),
            ("United States of America", "united states"),
            ("in WWII", "in world war 2"),
            ("Second World War", "world war 2"),
            ("CO2", "carbon dioxide"),
            ("CO", "CO"),
            ("H2O2", "H2O2"),
            ("Mt. Everest", "mount Everest"),
            ("tell us", "tell us"),
            ("IT IS US", "IT IS US"),
        ] {
            assert_eq!(expand("Which one is it?", text), expanded, "{text}");
        }
        for question in [
            "What does WHO stand for?",
            "What is the acronym of the health agency?",
            "What is the formula of the gas?",
            "Which letters name it?",
            "Is it WHO or CO2?",
            "What else is carbon dioxide called? And the World Health Organization?",
            "",
        ] {
            assert_eq!(expand(question, "WHO and CO2"), "WHO and CO2", "{question}");
        }
    }

    #[test]
    fn spelling_counts_where_it_is_asked_for() {
        for question in [
            "How do Americans spell it? In American English, please.",
            "Which CSS property sets it?",
            "What is the British word?",
            "Complete the code: `text-align: `",
            "",
        ] {
            assert!(!Variants::of(question).spelling, "{question}");
        }
        assert!(Variants::of("What is it?").spelling);
    }
}
