//! Words that say what an answer does with the option that stands next to them.

use std::sync::LazyLock;

use regex::Regex;

use super::super::numeric::tail;
use super::super::regex;

/// Words between "the answer is" and the label.
const BETWEEN: &str = r#"(?:(?:the|option|choice|letter|answer|number|no|clearly|therefore|thus|then|definitely|probably|most likely|certainly|actually|in fact|indeed|simply|la|le|el|o|a|il|lo|die|der|das|den|l|opci[oó]n|opção|opzione|lettre|letra|lettera|buchstabe|antwort|r[eé]ponse|respuesta|variante?|вариант|буква|选项|選項|optie|alternativ\w*)[\s:.#-]*){0,4}["'(\[{<]*$"#;
/// Names of an answer.
const NOUN: &str = r"(?:answer|choice|option|solution|response|pick|ans|antwort|lösung|r[eé]ponse|solution|choix|respuesta|solución|opción|risposta|soluzione|resposta|solução|antwoord|svar(?:et)?|vastaus|válasz|odpowied[zź]|odpov[eě]d\S?|odpovi[dď]|cevap|yanıt|jawaban|đáp án|ответ\w*|відповідь|απάντηση|答案|答え|答えは|正解|正确选项|選擇|选择|정답|답|उत्तर|الإجابة|الجواب|תשובה|คำตอบ)";

/// "The answer is" ends here.
pub fn is_cue(before: &str) -> bool {
    static CUE: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r#"{NOUN}\w*[^.!?\n]{{0,60}}?(?:[\s"'](?:is|be|was|are|ist|lautet|wäre|est|es|sería|serait|è|é|será|sarà|är|er|on|jest|je|to|là|este|adalah|ialah|α?είναι)\s|['’]s\s|=|:|[—–-]|是|为|為|は|은|는|である|है|هي|هو)\s*:?\s*{BETWEEN}"#
        ))
    });
    static DIRECT: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r#"(?:(?:answer|ans|antwort|r[eé]ponse|respuesta|risposta|resposta|antwoord|svar(?:et)?|vastaus|odpowied[zź]|odpověď|cevap|yanıt|jawaban|đáp án|ответ|відповідь|答案|答え|正解|정답|उत्तर|जवाब|الإجابة|الجواب|คำตอบ)\s*[>("'\[]*|(?:选|選|选择|選擇)\s*{BETWEEN})$"#
        ))
    });
    CUE.is_match(before) || DIRECT.is_match(before)
}

/// "Therefore" and the like end here.
pub fn concludes(before: &str) -> bool {
    static CONCLUSION: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r#"(?:^|[\s,;(])(?:so|thus|therefore|hence|thats why|that's why|actually|correction|finally|i(?:'d| would| will|'ll)? (?:choose|pick|select|go with|go for|say)|i am going with|must be|has to be|can only be|it is|it's|that is|that's|leaves(?: us with)?|leaving|select|choose|pick|also|damit|daher|somit|folglich|es ist|ich wähle|donc|c'est|alors|ainsi|je choisis|por lo tanto|por tanto|entonces|así que|es la|elijo|quindi|perciò|dunque|portanto|logo|então|значит|поэтому|итак|это|следовательно)[\s,:]+{BETWEEN}|(?:所以|因此|故|应该是|應該是|よって|したがって|따라서)[\s,:选是]*["(\[]*$|\b(?:not\b[^.!?\n]{{1,40}}\b(?:but|rather)|nicht\b[^.!?\n]{{1,40}}\bsondern|pas\b[^.!?\n]{{1,40}}\bmais|no\b[^.!?\n]{{1,40}}\bsino|non\b[^.!?\n]{{1,40}}\bma)\s+{BETWEEN}"#
        ))
    });
    CONCLUSION.is_match(before)
}

/// "No, wait," ends here: what follows takes the place of what was said.
pub fn corrects(before: &str) -> bool {
    static CORRECTION: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r#"(?:^|[\s,;.(])(?:(?:no|nope|wait|hmm+|rather|sorry|nein|moment|non|нет|いや|不对)\s*[,:.…—–-]+\s*|(?:scratch that|make that|on (?:reflection|second thoughts?)|thinking again|i mean|вернее|no espera|attendez)[\s,:.…—–-]+){BETWEEN}"#
        ))
    });
    CORRECTION.is_match(tail(before))
}

/// "is correct" begins here.
pub fn is_right(after: &str) -> bool {
    static RIGHT: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^[^.!?\n]{0,50}?(?:\b(?:is|are|would be|seems|looks|must be|ist|sind|est|es|è|é)|['’]s|[:—–-]|=)\s+(?:therefore |thus |clearly |definitely |indeed |obviously |in fact |actually )?(?:the |die |der |la |le |el |o |a |l')?(?:only |single |most )?(?:correct|right|best|true|accurate|valid|answer|richtig\w*|korrekt\w*|antwort|lösung|correcte?|bonne|juste|correcta|respuesta|giusta|corretta|certa|correta)\b|^\s*(?:です|だ。|である|입니다|예요|是正确|正确|是对的|為正確|が正しい|が正解|이 정답|가 정답|верн|правильн)",
        )
    });
    RIGHT.is_match(after) && !is_wrong(after)
}

/// "is wrong" begins here.
pub fn is_wrong(after: &str) -> bool {
    WRONG_AFTER.is_match(after)
}

/// "is wrong" and nothing else begins here.
pub fn is_ruled_out(after: &str) -> bool {
    static OUT: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s+(?:is|are|isn't|can't be|cannot be|ist|est|es|è|é)\s+(?:clearly |also |certainly |eindeutig )?(?:wrong|incorrect|false|out|not\b|right|correct|falsch|faux|fausse|incorrecta?|errat[ao]|sbagliat[ao])",
        )
    });
    OUT.is_match(after) && is_wrong(after)
}

/// Another option follows that takes the place of this one: "BではなくA".
pub fn is_replaced(after: &str) -> bool {
    static REPLACED: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^\s*(?:ではなく|じゃなく|でなく|가 아니|이 아니)"));
    REPLACED.is_match(after)
}

/// "not" and the like end here.
pub fn is_denied(before: &str) -> bool {
    static DENIED: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r#"(?:\b(?:not|n't|isn't|never|cannot be|can't be|nicht|kein\w*|pas|no es|non è|não é|не|rather than|instead of|statt|anstatt|plutôt que|en lugar de|unlike|except|excluding|eliminate|eliminating|rule out|ruling out|discard\w*|reject\w*|wrong|incorrect)[\s,:]+|(?:不是|不选|并非|不應選|排除)\s*){BETWEEN}"#
        ))
    });
    DENIED.is_match(before)
}

/// "followed by", "than": what comes next is only compared with the pick.
pub fn is_compared(before: &str) -> bool {
    static COMPARED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?:followed by|ahead of|than|compared (?:to|with)|in contrast to|gefolgt von|als|suivie? (?:de|par)|seguid[oa] (?:de|por)|seguit[oa] da)\s+(?:the |der |die |das |le |la |el )?$",
        )
    });
    COMPARED.is_match(before)
}

/// "Although … is nearest," is granted, and not the answer.
pub fn is_granted(before: &str) -> bool {
    static GRANTED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?:^|[\s,;(])(?:although|though|even though|while|whereas|even if|despite|obwohl|während|bien que|tandis que|aunque|mientras que|sebbene|mentre|хотя)\s[^,]*$",
        )
    });
    GRANTED.is_match(before)
}

/// What others say, or what was thought at first.
pub fn is_supposed(before: &str) -> bool {
    static SUPPOSED: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r"\b(?:some|many|most people|most students|others|people|students|they|beginners|critics)\b[^.!?\n]{{0,30}}\b(?:say|says|said|think|believe|argue|choose|pick|claim|prefer|might|may|would|could)\b|\b(?:you|one|we|i)\b[^.!?\n]{{0,20}}\b(?:might|may|could)\b|\b(?:at first|initially|(?:first|original|earlier|previous|initial) (?:thought|guess|glance|answer|choice|pick|instinct|reaction)|tempt\w*|distractor|mistake\w*|misconception|if the answer|if it were|were it|manche|einige|viele|mancher|certains|d'aucuns|on pourrait|algunos|muchos|alcuni|man könnte|некоторые)\b|有人|有些人|\b(?:wrong|incorrect|bad|poor|falsche?|mauvaise|incorrecta) {NOUN}\w*[^.,;!?\n]{{0,30}}$"
        ))
    });
    SUPPOSED.is_match(clause(before))
}

static CONTRAST: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:but|however|yet|actually|aber|jedoch|mais|cependant|pero|ma|mas|но|однако)\b|但是?|然而|しかし",
    )
});

/// The sentence behind its last "but".
fn clause(before: &str) -> &str {
    CONTRAST.find_iter(before).last().map_or(before, |it| &before[it.end()..])
}

/// Whether a "but" stands in the text.
pub fn has_contrast(text: &str) -> bool {
    CONTRAST.is_match(text)
}

/// A verb that says what something is ends here.
pub fn is_behind_verb(before: &str) -> bool {
    static VERB: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?:is|are|was|were|ist|sind|war|est|sont|es|son|è|sono|é|são)\s+(?:the |a |an |der |die |das |le |la |el |il |o )?$",
        )
    });
    VERB.is_match(before)
}

/// A label that begins a clause, of which something is said: "B is the hottest".
pub fn is_subject(clause: &str, after: &str) -> bool {
    static VERB: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^\s+(?:is|was|ist|war|est|es|è|é)\s+\w"));
    clause.trim().is_empty() && VERB.is_match(after)
}

/// "'dir" begins here.
pub fn is_turkish(after: &str) -> bool {
    static IS: LazyLock<Regex> = LazyLock::new(|| regex(r"^'[dt][iıuü]r\b"));
    IS.is_match(after)
}

/// What follows a label that is no word of a sentence.
pub fn follows_label(after: &str) -> bool {
    AFTER_LABEL.is_match(after)
}

/// A label at the very start, of which a reason follows: "B, because …".
pub fn gives_reason(after: &str) -> bool {
    static REASON: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s*[,;—–-]?\s*(?:because|since|as|for|given|due to|weil|da|denn|parce que?|car|porque|ya que|perché|poiché|потому|так как)\b",
        )
    });
    REASON.is_match(after)
}

static AFTER_LABEL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s+(?:because|since|as|for|and|or|is|are|was|would|seems|which|und|oder|weil|ist|car|et|ou|est|porque|y|es|perché|è|é|[-–—(=]|\w{1,2}\b\s*[.)]?\s*$)",
    )
});
static WRONG_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^[^.!?\n]{0,80}?(?:\b(?:wrong|incorrect|false|not (?:the )?(?:correct|right|true|answer|best|it)|is not\b|isn't|is no\b|cannot be|can't be|distractor|ruled out|eliminated|excluded|falsch|nicht|faux|fausse|incorrecta?|n'est pas|no es|errat[ao]|sbagliat[ao]|non è|não é|неверн\w*|неправильн\w*|не является)\b|错|錯|不对|不正确|不是|间违|間違|違う|틀)",
    )
});
