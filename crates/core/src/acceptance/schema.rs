//! The table of what is looked at in an answer, and the digest that names it.

use crate::features::digest_of;

/// One number of the vector that an answer is judged by.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFeature {
    pub name: &'static str,
    /// What one unit of the value is; `ln(1+n)` marks counts that are compressed.
    pub unit: &'static str,
    /// Why it might say whether an answer is right.
    pub why: &'static str,
}

const LOG_COUNT: &str = "ln(1+n)";
const SHARE: &str = "share";
const FLAG: &str = "0|1";
/// The difference of two logarithms.
const RATIO: &str = "ln";

/// Raised whenever the same prompt and answer get other values, so that older models are refused.
const EXTRACTOR_VERSION: u32 = 1;

macro_rules! schema {
    ($($index:ident = $name:literal, $unit:ident, $why:literal;)*) => {
        /// Positions in the vector.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Slot { $($index),* }

        /// What an answer is judged by, in the order of the vector.
        pub const ANSWER_SCHEMA: [AnswerFeature; [$($name),*].len()] = [
            $(AnswerFeature { name: $name, unit: $unit, why: $why }),*
        ];
    };
}

schema! {
    // The prompt, as far as it bears on the answer.
    PromptBytes = "prompt_bytes", LOG_COUNT, "long questions carry more to get wrong";
    PromptSentences = "prompt_sentences", LOG_COUNT, "conditions to keep in mind";
    PromptNumbers = "prompt_numbers", LOG_COUNT, "quantities to combine";
    PromptLargest = "prompt_largest_number", LOG_COUNT, "large numbers: exact arithmetic";
    PromptDecimals = "prompt_decimals", LOG_COUNT, "measurements and money";
    PromptMath = "prompt_math", LOG_COUNT, "formulas of LaTeX";
    PromptCompare = "prompt_comparisons", LOG_COUNT, "more, less, than: relations to set up";
    PromptParts = "prompt_parts", LOG_COUNT, "half, third, percent: parts of a whole";
    PromptRates = "prompt_rates", LOG_COUNT, "each, every, per: rates to multiply";
    PromptTime = "prompt_time", LOG_COUNT, "hours, days, years: units to convert";
    PromptConditions = "prompt_conditions", LOG_COUNT, "if, unless, only: cases to tell apart";
    PromptRemainder = "prompt_remainder", LOG_COUNT, "left, remaining, rest: a total to subtract from";
    PromptOrder = "prompt_order", LOG_COUNT, "after, before, then: events in their order";
    // Length and shape.
    Bytes = "bytes", LOG_COUNT, "long answers have more places to go wrong";
    Words = "words", LOG_COUNT, "as bytes, free of word length";
    Lines = "lines", LOG_COUNT, "a worked solution";
    Sentences = "sentences", LOG_COUNT, "steps of an argument";
    BytesPerPromptByte = "bytes_per_prompt_byte", RATIO, "an answer that is short, or long, for its question";
    ListLines = "list_lines", LOG_COUNT, "an answer in points";
    Headings = "heading_lines", LOG_COUNT, "a structured answer";
    Fences = "code_fences", LOG_COUNT, "a program is given";
    Structured = "structured", FLAG, "begins with a brace or a fence: the shape was kept to";
    Formulas = "formulas", LOG_COUNT, "dollar signs and commands of LaTeX";
    DistinctWords = "distinct_words", SHARE, "repetition: an answer that goes round in circles";
    RepeatedSentences = "repeated_sentences", LOG_COUNT, "an answer that goes round in circles";
    CutOff = "cut_off", FLAG, "the end is missing";
    Unbalanced = "unbalanced_brackets", LOG_COUNT, "code or formulas that do not close";
    OpenFence = "open_fence", FLAG, "code that does not end";
    Questions = "questions", LOG_COUNT, "an answer that asks back";
    Empty = "empty", FLAG, "no answer";
    // What its words say.
    Hedges = "hedges", LOG_COUNT, "maybe, probably, seems: the model is unsure";
    Reversals = "reversals", LOG_COUNT, "however, wait, actually, but: the model takes something back";
    Mistakes = "mistakes", LOG_COUNT, "error, incorrect, contradiction: the model saw that it went wrong";
    Approximations = "approximations", LOG_COUNT, "about, roughly, rounded: not exact";
    Assumptions = "assumptions", LOG_COUNT, "assume, suppose, let: something was missing";
    Refusals = "refusals", LOG_COUNT, "sorry, cannot, unable: no answer was given";
    Conclusions = "conclusions", LOG_COUNT, "therefore, so, thus: a chain of reasoning";
    StepWords = "step_words", LOG_COUNT, "first, then, finally: a worked solution";
    Negations = "negations", LOG_COUNT, "not, no, never";
    Algebra = "algebra", LOG_COUNT, "equation, variable, solve: unknowns were set up";
    Compare = "comparisons", LOG_COUNT, "more, less, than: relations in the answer";
    Parts = "parts", LOG_COUNT, "half, third, percent in the answer";
    Rates = "rates", LOG_COUNT, "each, every, per in the answer";
    Time = "time", LOG_COUNT, "hours, days, years in the answer";
    Remainder = "remainder", LOG_COUNT, "left, remaining, rest in the answer";
    FirstPerson = "first_person", LOG_COUNT, "the model speaks of itself";
    // Numbers and arithmetic.
    Numbers = "numbers", LOG_COUNT, "quantities in the answer";
    Decimals = "decimals", LOG_COUNT, "numbers with digits behind the point";
    LongDecimals = "long_decimals", LOG_COUNT, "three digits and more behind the point: a division that does not come out";
    Percents = "percents", LOG_COUNT, "percentages";
    EquationsRight = "equations_right", LOG_COUNT, "its own arithmetic holds";
    EquationsRounded = "equations_rounded", LOG_COUNT, "results were rounded";
    EquationsWrong = "equations_wrong", LOG_COUNT, "its own arithmetic does not hold";
    AnyWrong = "any_equation_wrong", FLAG, "one slip is enough";
    LastWrong = "last_equation_wrong", FLAG, "the slip nobody corrected";
    EquationsOpen = "equations_open", LOG_COUNT, "equations with unknowns";
    Additions = "additions", LOG_COUNT, "additions in checked expressions";
    Subtractions = "subtractions", LOG_COUNT, "subtractions in checked expressions";
    Products = "products", LOG_COUNT, "products in checked expressions";
    Divisions = "divisions", LOG_COUNT, "divisions in checked expressions";
    LongestExpression = "longest_expression", LOG_COUNT, "many operators at once";
    BrokenResults = "broken_results", LOG_COUNT, "results that are not whole numbers";
    NegativeResults = "negative_results", LOG_COUNT, "results below zero";
    StepsPerNumber = "steps_per_prompt_number", RATIO, "as many steps as there are quantities";
    // Numbers of prompt and answer.
    UsedNumbers = "used_prompt_numbers", SHARE, "all that was given was used";
    UnusedNumbers = "unused_prompt_numbers", LOG_COUNT, "something that was given was left out";
    NewNumbers = "new_numbers", LOG_COUNT, "numbers from nowhere: neither given nor computed";
    ReusedNumbers = "reused_numbers", SHARE, "share of numbers that were given or computed";
    RepeatedResults = "repeated_results", LOG_COUNT, "results that are what was given, or computed before";
    // The final answer.
    FinalMarked = "final_marked", FLAG, "the answer says which number is its result";
    FinalNumber = "final_number", FLAG, "the result is a number";
    FinalWhole = "final_whole", FLAG, "a whole number";
    FinalNegative = "final_negative", FLAG, "below zero";
    FinalZero = "final_zero", FLAG, "zero";
    FinalSize = "final_size", LOG_COUNT, "its size";
    FinalDecimals = "final_decimals", LOG_COUNT, "digits behind the point";
    FinalIsResult = "final_is_last_result", FLAG, "what was computed last";
    FinalIsComputed = "final_is_computed", FLAG, "something that was computed";
    FinalIsGiven = "final_is_given", FLAG, "a number of the question";
    FinalBeyond = "final_beyond_given", RATIO, "its size against the largest number of the question";
    FinalDisagree = "final_disagree", FLAG, "two final answers that differ";
    FinalRound = "final_round", FLAG, "a multiple of ten";
    FinalBytes = "final_bytes", LOG_COUNT, "length of what is marked as the final answer";
    // The language, and the question's own words.
    ScriptChange = "script_change", SHARE, "an answer in another script than the question";
    SharedWords = "shared_words", SHARE, "share of the answer's words that are the question's";
    CoveredWords = "covered_words", SHARE, "share of the question's words that the answer takes up";
    // What the model itself thought, where the request asked for it.
    HasLogProbabilities = "has_log_probabilities", FLAG, "the request asked for log-probabilities";
    MeanLogProbability = "mean_log_probability", RATIO, "mean log-probability of the tokens";
    LeastLogProbability = "least_log_probability", RATIO, "the least likely token";
}

/// Length of the vector.
pub const ANSWER_LEN: usize = ANSWER_SCHEMA.len();

/// 64-bit digest of everything that gives the vector its meaning, as 16 hex digits: a model carries
/// that of the code that trained it, and is refused by code with another.
pub fn answer_schema_hash() -> String {
    let mut text = format!("answer {EXTRACTOR_VERSION}\n");
    for feature in &ANSWER_SCHEMA {
        text.push_str(feature.name);
        text.push(' ');
        text.push_str(feature.unit);
        text.push('\n');
    }
    digest_of(text.as_bytes())
}
