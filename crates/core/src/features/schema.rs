//! The table of engineered features, and the digest that names it.

use std::ops::Range;

use super::meaning::table_digest;
use super::{
    CHAR_BUCKETS, EXTRACTOR_VERSION, FOCUS_HEAD_BYTES, FOCUS_TAIL_BYTES, LEN, WORD_BUCKETS,
};

/// One engineered feature.
#[derive(Clone, Copy, Debug)]
pub struct FeatureSpec {
    /// Name, as printed by `pointsman features` and used by rules.
    pub name: &'static str,
    /// What one unit of the value is; `ln(1+n)` marks counts that are compressed.
    pub unit: &'static str,
    /// Smallest and largest value; larger ones are cut.
    pub range: (f32, f32),
    /// Why it might tell how hard a prompt is.
    pub why: &'static str,
}

/// The unit of a compressed count.
pub(super) const LOG_COUNT: &str = "ln(1+n)";
/// The unit of a part of a whole.
pub(super) const SHARE: &str = "share";
/// The unit of a yes or no.
pub(super) const FLAG: &str = "0|1";

/// Declares the features once: an index constant for the extractor and a row of [`SCHEMA`].
macro_rules! schema {
    ($($index:ident = $name:literal, $unit:ident, $why:literal;)*) => {
        /// Positions of the engineered features in the vector.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(super) enum Slot { $($index),* }

        /// All engineered features, in the order of the vector.
        pub const SCHEMA: [FeatureSpec; [$($name),*].len()] = [
            $(FeatureSpec { name: $name, unit: $unit, range: range($unit), why: $why }),*
        ];
    };
}

const fn range(unit: &str) -> (f32, f32) {
    // A count is at most 2^24 (16 MiB of body), whose compressed value is 16.7.
    if unit.len() == LOG_COUNT.len() { (0.0, 17.0) } else { (0.0, 1.0) }
}

schema! {
    // Length and shape of the text in focus.
    TextBytes = "text_bytes", LOG_COUNT, "long questions carry more to get wrong";
    Words = "words", LOG_COUNT, "as text_bytes, free of word length";
    Lines = "lines", LOG_COUNT, "many lines: data, code or a brief";
    BlankLines = "blank_lines", LOG_COUNT, "paragraphs: a composed task";
    Sentences = "sentences", LOG_COUNT, "several sentences set a scene or add conditions";
    WordsPerSentence = "words_per_sentence", LOG_COUNT, "long sentences: formal or legal text";
    LettersPerWord = "letters_per_word", LOG_COUNT, "long words: technical vocabulary";
    LongestLine = "longest_line", LOG_COUNT, "one long line: prose; short lines: code and lists";
    LongWords = "long_words", SHARE, "share of words of nine letters or more: technical vocabulary";
    DistinctWords = "distinct_words", SHARE, "repetition: tables, word problems, generated text";
    Capitalised = "capitalised", SHARE, "names inside sentences: facts about people and places";
    Uppercase = "uppercase", SHARE, "acronyms, shouting, constants";
    Digits = "digits", SHARE, "numbers to work with";
    Punctuation = "punctuation", SHARE, "code, formulas and markup";
    Whitespace = "whitespace", SHARE, "layout: indented code, tables";
    // Code.
    CodeFences = "code_fences", LOG_COUNT, "a program is quoted";
    InlineCode = "inline_code", LOG_COUNT, "identifiers are quoted";
    CodeSymbols = "code_symbols", SHARE, "brackets, semicolons, operators: a program";
    IndentedLines = "indented_lines", SHARE, "a program or an outline";
    CodeWords = "code_words", LOG_COUNT, "keywords of programming languages";
    ProgrammingTerms = "programming_terms", LOG_COUNT, "asks about programming: function, array, bug";
    LanguageNames = "language_names", LOG_COUNT, "names a programming language or framework";
    Identifiers = "identifiers", LOG_COUNT, "snake_case and camelCase names: real code";
    StackTrace = "stack_trace", LOG_COUNT, "debugging needs the stronger model more often";
    DiffLines = "diff_lines", LOG_COUNT, "a patch to review";
    Urls = "urls", LOG_COUNT, "links: web content";
    Paths = "paths", LOG_COUNT, "file paths: system work";
    // Mathematics.
    Numbers = "numbers", LOG_COUNT, "quantities to combine";
    LargeNumbers = "large_numbers", LOG_COUNT, "numbers of five digits or more: exact arithmetic";
    Decimals = "decimals", LOG_COUNT, "measurements";
    NumberWords = "number_words", LOG_COUNT, "quantities spelled out: word problems";
    Operators = "operators", LOG_COUNT, "formulas";
    Latex = "latex", LOG_COUNT, "competition or university mathematics";
    DollarSigns = "dollar_signs", LOG_COUNT, "formulas or money";
    Percent = "percent", LOG_COUNT, "rates, chance, finance";
    MathSymbols = "math_symbols", LOG_COUNT, "mathematical characters of Unicode";
    MathTerms = "math_terms", LOG_COUNT, "vocabulary of mathematics";
    WordProblem = "word_problem", LOG_COUNT, "each, total, per, remaining: several arithmetic steps";
    // What kind of question or instruction.
    QuestionMarks = "question_marks", LOG_COUNT, "one question or many";
    EndsWithQuestion = "ends_with_question", FLAG, "a plain question";
    OpensFact = "opens_with_fact_question", FLAG, "what, who, when, where, which: recall";
    OpensWhy = "opens_with_why_or_how", FLAG, "why, how: explanation";
    OpensWrite = "opens_with_write", FLAG, "write, create, draft: open-ended work";
    OpensExplain = "opens_with_explain", FLAG, "explain, describe, compare: open-ended work";
    OpensSolve = "opens_with_solve", FLAG, "find, compute, prove: exact work";
    OpensTransform = "opens_with_transform", FLAG, "rewrite, translate, summarise: the answer is in the text";
    OpensPersona = "opens_with_persona", FLAG, "imagine, pretend, act, you are: role play";
    OpensYesNo = "opens_with_yes_no", FLAG, "is, can, do: a short answer";
    HowMany = "how_many", LOG_COUNT, "asks for a number";
    FactWords = "fact_question_words", LOG_COUNT, "what, who, which anywhere";
    ReasoningWords = "reasoning_words", LOG_COUNT, "step, because, therefore, why: reasoning is asked for";
    ConstraintWords = "constraint_words", LOG_COUNT, "must, only, exactly, without: conditions to keep";
    Negation = "negation", LOG_COUNT, "not, except, never: easily overlooked";
    Conditionals = "conditionals", LOG_COUNT, "if, suppose, unless: cases to tell apart";
    Comparison = "comparison", LOG_COUNT, "more, less, better, than: relations";
    WritingTerms = "writing_terms", LOG_COUNT, "story, essay, email: open-ended work";
    FormatTerms = "format_terms", LOG_COUNT, "list, table, bullet, json: a wanted shape";
    AdviceTerms = "advice_terms", LOG_COUNT, "recommend, tips, ideas, plan: open-ended chat";
    FirstPerson = "first_person", LOG_COUNT, "I, my, me: a person's own matter, chat";
    SecondPerson = "second_person", LOG_COUNT, "you, your: addressed to the model";
    Politeness = "politeness", LOG_COUNT, "please, thanks: chat";
    // Field of knowledge.
    LawTerms = "law_terms", LOG_COUNT, "law";
    MedicineTerms = "medicine_terms", LOG_COUNT, "medicine and biology";
    ScienceTerms = "science_terms", LOG_COUNT, "physics, chemistry, engineering";
    BusinessTerms = "business_terms", LOG_COUNT, "economics, accounting, management";
    HumanitiesTerms = "humanities_terms", LOG_COUNT, "history, philosophy, politics";
    // Structure.
    ChoiceLines = "choice_lines", LOG_COUNT, "options of a multiple-choice question";
    NumericChoices = "numeric_choices", SHARE, "options that are numbers: a calculation is behind them";
    ChoiceBytes = "choice_bytes", SHARE, "share of the text that is options";
    ListLines = "list_lines", LOG_COUNT, "lists of items or requirements";
    HeadingLines = "heading_lines", LOG_COUNT, "a structured document";
    TableLines = "table_lines", LOG_COUNT, "tables";
    JsonKeys = "json_keys", LOG_COUNT, "JSON in the text: data or function schemas";
    Quotes = "quotes", LOG_COUNT, "quoted text to work on";
    BlankFill = "blank_fill", LOG_COUNT, "a gap to fill";
    Parentheses = "parentheses", LOG_COUNT, "asides and formulas";
    Colons = "colons", LOG_COUNT, "labels: a form or template";
    // Language and script.
    FunctionWords = "function_words", SHARE, "share of English function words: prose against lists or other languages";
    NonAscii = "non_ascii", SHARE, "other languages, symbols";
    LatinExtended = "latin_extended", SHARE, "European languages";
    Cyrillic = "cyrillic_greek", SHARE, "Cyrillic and Greek script";
    Cjk = "cjk", SHARE, "Chinese, Japanese, Korean";
    OtherScript = "other_script", SHARE, "Arabic, Hebrew, Indic and other scripts";
    Emoji = "emoji", LOG_COUNT, "chat";
    // Conversation.
    Turns = "turns", LOG_COUNT, "long conversations hold context";
    AssistantTurns = "assistant_turns", LOG_COUNT, "earlier answers to build on";
    ToolTurns = "tool_turns", LOG_COUNT, "results of tools to read";
    SystemBytes = "system_bytes", LOG_COUNT, "instructions of the application";
    HistoryBytes = "history_bytes", LOG_COUNT, "context before the question";
    FollowUp = "follow_up", FLAG, "a short turn that only makes sense with the one before";
    Truncated = "truncated", FLAG, "the body was longer than what was read";
    // What the request carries and asks for.
    Tools = "tools", LOG_COUNT, "functions to choose from";
    ToolsBytes = "tools_bytes", LOG_COUNT, "size of the functions' descriptions";
    ToolCalls = "tool_calls", LOG_COUNT, "an agent at work";
    Images = "images", LOG_COUNT, "images to understand";
    MaxTokens = "max_tokens", LOG_COUNT, "length of the wanted answer, 0 when not said";
    JsonOutput = "json_output", FLAG, "the answer must be JSON";
    SchemaOutput = "schema_output", FLAG, "the answer must follow a schema";
    Stream = "stream", FLAG, "a person is waiting";
    Temperature = "temperature", LOG_COUNT, "creative or exact, 0 when not said";
}

/// Neighbours in [`SCHEMA`] that say the same kind of thing.
#[derive(Clone, Debug)]
pub struct FeatureGroup {
    /// For people.
    pub name: &'static str,
    /// Positions in the vector.
    pub range: Range<usize>,
}

/// All engineered features by group.
pub const GROUPS: [FeatureGroup; 9] = [
    group("length and layout", Slot::TextBytes, Slot::CodeFences as usize),
    group("code", Slot::CodeFences, Slot::Numbers as usize),
    group("mathematics", Slot::Numbers, Slot::QuestionMarks as usize),
    group("the kind of task", Slot::QuestionMarks, Slot::LawTerms as usize),
    group("the field of knowledge", Slot::LawTerms, Slot::ChoiceLines as usize),
    group("the structure of the text", Slot::ChoiceLines, Slot::FunctionWords as usize),
    group("the language", Slot::FunctionWords, Slot::Turns as usize),
    group("the conversation so far", Slot::Turns, Slot::Tools as usize),
    group("what the request carries and asks for", Slot::Tools, SCHEMA.len()),
];

const fn group(name: &'static str, first: Slot, end: usize) -> FeatureGroup {
    FeatureGroup { name, range: first as usize..end }
}

/// 64-bit FNV-1a digest of everything that gives a vector its meaning, as 16 hex digits: the
/// table, the sizes, the limits, the word vectors and the extractor's version.
///
/// A model carries the digest of the code that trained it, and is refused by code with another.
pub fn schema_hash() -> String {
    let mut digest = Fnv1a::default();
    for feature in &SCHEMA {
        digest.write(feature.name.as_bytes());
        digest.write(&[0]);
        digest.write(feature.unit.as_bytes());
        digest.write(&[0]);
    }
    for number in
        [LEN, WORD_BUCKETS, CHAR_BUCKETS, FOCUS_HEAD_BYTES, FOCUS_TAIL_BYTES, EXTRACTOR_VERSION]
    {
        digest.write(&(number as u64).to_le_bytes());
    }
    digest.write(&table_digest().to_le_bytes());
    format!("{:016x}", digest.0)
}

/// 64-bit FNV-1a digest of any bytes, as 16 hex digits: an identity, not a proof.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut digest = Fnv1a::default();
    digest.write(bytes);
    format!("{:016x}", digest.0)
}

/// 64-bit hash of some texts, in their order: an identity that is quick to take. Of each text the
/// length and at most [`HASHED_BYTES`] from its beginning count.
pub fn hash64(texts: &[&[u8]]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    let mut hash = MULTIPLIER;
    for text in texts {
        let (words, rest) = text.get(..HASHED_BYTES).unwrap_or(text).as_chunks::<8>();
        hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
        hash = mix(hash, text.len() as u64);
    }
    // The last words reach all bits (MurmurHash3's finalizer).
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

/// Bytes of a text that [`hash64`] reads.
const HASHED_BYTES: usize = 8 * 1024;

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
pub(super) struct Fnv1a(pub(super) u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Fnv1a(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
