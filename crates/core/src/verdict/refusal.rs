//! Stock phrases that models decline with.
//!
//! Only short answers, only how they begin, and only phrases that say who declines what: an apology
//! alone is none.

/// Longest answer that is looked at, in characters: who goes on, answers after all.
const LONGEST: usize = 400;
/// Characters that are looked at.
const BEGINNING: usize = 240;
/// An apology up to this long, in bytes, may be a sentence of its own.
const APOLOGY: usize = 40;

/// How a language declines: a sentence that begins with one of `starts`, or with one of `nots`, and
/// that has one of `nots` with one of `verbs` at most `gap` bytes behind it.
struct Language {
    starts: &'static [&'static str],
    nots: &'static [&'static str],
    verbs: &'static [&'static str],
    gap: usize,
}

const LANGUAGES: [Language; 9] = [
    Language {
        starts: &[
            "i'm sorry",
            "i am sorry",
            "sorry",
            "i'm really sorry",
            "i'm very sorry",
            "i apologi",
            "my apologies",
            "apologies",
            "unfortunately",
            "as an ai",
            "as a language model",
            "as a large language model",
        ],
        nots: &[
            "i can't ",
            "i cannot ",
            "i can not ",
            "i won't ",
            "i will not ",
            "i'm unable to ",
            "i am unable to ",
            "i'm not able to ",
            "i am not able to ",
            "i won't be able to ",
        ],
        verbs: &[
            "help with",
            "help you with",
            "help you.",
            "help.",
            "assist",
            "fulfil",
            "comply",
            "provide assistance",
            "provide instructions",
            "provide information on how",
            "provide information about how",
            "provide guidance on",
            "provide any ",
            "provide that",
            "provide this",
            "engage in",
            "engage with",
            "create content",
            "generate content",
            "create that",
            "generate that",
            "write that",
            "continue with this",
            "continue this conversation",
            "discuss this",
            "discuss that",
            "support that",
            "accommodate",
            "participate in",
            "complete this request",
            "complete that request",
            "process this request",
        ],
        gap: 0,
    },
    Language {
        starts: &["i'm sorry", "i am sorry", "sorry"],
        nots: &["i must decline", "i have to decline", "i must respectfully decline"],
        verbs: &[""],
        gap: 0,
    },
    // German
    Language {
        starts: &["es tut mir leid", "tut mir leid", "leider", "entschuldigung", "als ki"],
        nots: &["ich kann ", "kann ich "],
        verbs: &[
            "nicht helfen",
            "nicht weiterhelfen",
            "nicht behilflich",
            "nicht unterstützen",
            "nicht nachkommen",
            "nicht erfüllen",
        ],
        gap: 60,
    },
    // French
    Language {
        starts: &["je suis désolé", "désolé", "je suis navré", "malheureusement", "je m'excuse"],
        nots: &["je ne peux pas ", "je ne peux ", "je ne suis pas en mesure de "],
        verbs: &["aider", "assister", "répondre à cette", "répondre à votre demande", "fournir"],
        gap: 8,
    },
    // Spanish
    Language {
        starts: &["lo siento", "lamento", "lo lamento", "disculpa"],
        nots: &["no puedo "],
        verbs: &["ayudar", "asistir", "cumplir con", "proporcionar", "responder a esa"],
        gap: 0,
    },
    // Portuguese
    Language {
        starts: &["desculp", "sinto muito", "lamento", "infelizmente"],
        nots: &["não posso ", "não consigo "],
        verbs: &["ajudar", "ajudá", "te ajudar", "fornecer", "atender a", "auxiliar"],
        gap: 0,
    },
    // Italian
    Language {
        starts: &["mi dispiace", "spiacente", "sono spiacente", "purtroppo"],
        nots: &["non posso ", "non sono in grado di "],
        verbs: &["aiutar", "assister", "fornir", "soddisfare"],
        gap: 0,
    },
    // Chinese
    Language {
        starts: &["抱歉", "很抱歉", "非常抱歉", "对不起", "對不起"],
        nots: &["我无法", "我不能", "無法", "无法"],
        verbs: &["帮助", "幫助", "协助", "協助", "满足", "回答这个", "提供相关", "提供这"],
        gap: 24,
    },
    // Japanese
    Language {
        starts: &["申し訳", "すみません", "ごめんなさい", "恐れ入りますが"],
        nots: &["お手伝い", "お応え", "お答え", "ご要望", "ご質問", "提供"],
        verbs: &["できません", "できかねます", "いたしかねます"],
        gap: 30,
    },
];

/// What makes a sentence a question back, or a condition.
const CONDITIONS: [&str; 7] = [
    " without ",
    " until ",
    " unless ",
    " yet",
    "more information",
    "more details",
    "more context",
];

/// Whether a whole answer begins like one that declines.
pub(super) fn is_refusal(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.chars().nth(LONGEST).is_some() {
        return false;
    }
    let beginning: String = text.chars().take(BEGINNING).flat_map(char::to_lowercase).collect();
    let beginning = beginning.replace(['’', 'ʼ'], "'");
    let sentence = sentence(&beginning);
    !CONDITIONS.iter().any(|condition| sentence.contains(condition))
        && LANGUAGES.iter().any(|language| language.declines(sentence))
}

/// The first sentence, with the second where the first may be an apology.
fn sentence(text: &str) -> &str {
    let ends = text.match_indices(['.', '!', '?', '\n', '。', '！', '？']);
    let ends = ends.map(|(at, end)| at + end.len());
    let end = ends.into_iter().find(|end| *end > APOLOGY).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

impl Language {
    fn declines(&self, sentence: &str) -> bool {
        let mut starts = self.starts.iter().chain(self.nots);
        if !starts.any(|start| sentence.starts_with(start)) {
            return false;
        }
        self.nots.iter().any(|not| {
            sentence.match_indices(not).any(|(at, _)| {
                let rest = sentence.get(at + not.len()..).unwrap_or_default();
                self.verbs.iter().any(|verb| rest.find(verb).is_some_and(|at| at <= self.gap))
            })
        })
    }
}
