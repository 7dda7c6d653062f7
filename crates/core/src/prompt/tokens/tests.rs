//! The costs, held against real vocabularies.

use super::*;

/// Texts with their tokens in the vocabularies `cl100k_base` and `o200k_base`, counted with
/// tiktoken 0.12.
#[rustfmt::skip]
const COUNTED: &[(&str, u64, u64)] = &[
    ("The committee will meet again on Tuesday to discuss the proposal, and everybody who has questions may send them beforehand. ", 23, 23),
    ("Die Geschwindigkeitsbegrenzung auf der Donaudampfschifffahrtsstraße wurde gestern überraschend aufgehoben, weil die Behörden Verständnis zeigten. ", 48, 33),
    ("L'élève préféré du professeur a été reçu à l'école supérieure où l'on étudie l'économie générale. ", 36, 24),
    ("Epäjärjestelmällistyttämättömyydellänsäkään hän ei saanut kaikkia ystäviänsä vakuuttuneiksi asiasta. ", 45, 35),
    ("Завтра утром мы собираемся поехать за город, чтобы посмотреть на старую усадьбу и погулять по лесу. ", 51, 30),
    ("Η επιτροπή θα συνεδριάσει ξανά την Τρίτη για να συζητήσει την πρόταση των εργαζομένων. ", 80, 30),
    ("ستجتمع اللجنة مرة أخرى يوم الثلاثاء لمناقشة الاقتراح المقدم من العمال في المصنع. ", 56, 22),
    ("הוועדה תיפגש שוב ביום שלישי כדי לדון בהצעה שהוגשה על ידי העובדים במפעל. ", 67, 27),
    ("समिति मंगलवार को प्रस्ताव पर चर्चा करने के लिए फिर से मिलेगी और सभी लोग अपने प्रश्न भेज सकते हैं। ", 91, 24),
    ("คณะกรรมการจะประชุมอีกครั้งในวันอังคารเพื่อหารือเกี่ยวกับข้อเสนอของพนักงานในโรงงาน ", 72, 29),
    ("குழு செவ்வாய்க்கிழமை மீண்டும் கூடி தொழிலாளர்களின் முன்மொழிவைப் பற்றி விவாதிக்கும். ", 111, 28),
    ("委员会将于星期二再次开会讨论这项提案，任何有疑问的人都可以提前把问题发送过来。", 41, 28),
    ("委員会は火曜日に再び会合を開き、従業員から提出された提案について議論する予定です。", 48, 31),
    ("위원회는 화요일에 다시 모여 직원들이 제출한 제안에 대해 논의할 예정입니다. ", 37, 24),
    ("კომიტეტი სამშაბათს კვლავ შეიკრიბება წინადადების განსახილველად. ", 119, 24),
    ("Ủy ban sẽ họp lại vào thứ Ba để thảo luận về đề xuất của người lao động trong nhà máy. ", 42, 26),
    ("Komisja zbierze się ponownie we wtorek, żeby omówić propozycję złożoną przez pracowników zakładu. ", 38, 33),
    ("Komite, çalışanların sunduğu öneriyi görüşmek üzere salı günü yeniden toplanacaktır. ", 34, 22),
    ("😀🎉👩‍👩‍👧‍👦🏳️‍🌈✨🚀", 37, 23),
    ("∀x∈ℝ: ∑ᵢ xᵢ² ≥ 0 ⇒ ∂f/∂x ≠ ∞ ", 33, 33),
    ("\\frac{\\partial f}{\\partial x} = \\sum_{i=0}^{n} \\alpha_i x^{i} ", 29, 28),
    ("THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND RUNS AWAY. ", 21, 20),
    ("getUserAccountBalanceByCustomerIdentifierFromRepositoryAsyncInternal ", 11, 12),
    ("max_completion_tokens_per_minute_limit_exceeded_error ", 10, 11),
    ("function a(b,c){for(var d=0;d<b.length;d++){if(b[d]===c){return!0}}return!1}var e=[1,2,3],f={x:1,y:[2,3]};", 51, 53),
    ("2026-11-30T05:31:33.123Z INFO [worker-7] 10.0.0.12 GET /api/v1/items?id=42 200 13ms\n2026-11-30T05:31:33.123Z INFO [worker-7] 10.0.0.12 GET /api/v1/items?id=42 200 13ms\n2026-11-30T05:31:33.123Z INFO [worker-7] 10.0.0.12 GET /api/v1/items?id=42 200 13ms\n2026-11-30T05:31:33.123Z INFO [worker-7] 10.0.0.12 GET /api/v1/items?id=42 200 13ms\n2026-11-30T05:31:33.123Z INFO [worker-7] 10.0.0.12 GET /api/v1/items?id=42 200 13ms\n", 220, 220),
    ("12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n12,5,99.25,-3,0.001\n", 140, 140),
    ("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", 34, 34),
    ("9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 ", 100, 100),
    ("9bFlIkpYt5HfavHYMD5hzcS7hsPRxCcQPDRMQYnrLx571dR+RG/OwqPYEXNhEOV4G8zOppZ2LmEWxunJLZm/NYwuBxiCLOR8qMdBB+ZssOSys/TVjYLKY4bSyW52DoGbhckkw1lxZMSmBYoAWBoisi3lBHJDPS5E/ti2uDV+RM0xKZA6wdRVl6JC/fEfjysaOfPD5pMRQ1HcvtQH4+a2Bbmegwbdp0imHgKaij9BWwJKFGzw2YqY4c+ZlmH5Z72v3w5zN0IME/j11A9s4HnRuYc3bwe8uBKH/cjAOI/ogcOgZhlw7z9t8BSN7X6KNIiNOWyrO4DSf1jfERo7PfJFrakIAjiaeM3ClJKodfdKxvOqIC9K2Ykv7XVZgAW6xIpqnoJr1vCokOpHynOO", 282, 272),
    ("73a9bef499bbf4dc7bd2a4f2c8af5bd99f267a0ed3197217dd2bba1537436e5c2441e3d54410492b788768bcff2218cf8f7373abe8e394daf807e24e58c367402e281f9bddf85336d15b579b74e4250950c9c994752666ae81c78b283592edff935d406e8fdb72a34980be64d347bdcdda5117b919f538dcb77eacfe863e5282fa940bf3eb573f5fc12f4f8b12cd8aefd2f6e1716f7b8780ce6cab44e78db5e6265632094a04fcde45a00607b90c305da0480377e97e8dee32ee8651ab4f62e86fa84861a6c4716c", 223, 224),
    ("d82c07cd-d82c-d82c-d82c-629fd82c07cd 2265b1f5-2265-2265-2265-91b72265b1f5 f4bea973-f4be-f4be-f4be-dcf4f4bea973 3ceb3ffd-3ceb-3ceb-3ceb-97b73ceb3ffd 3c6da5d7-3c6d-3c6d-3c6d-4da43c6da5d7 9f767c45-9f76-9f76-9f76-41649f767c45 cb1855fe-cb18-cb18-cb18-92e5cb1855fe 52e6b438-52e6-52e6-52e6-f2a752e6b438 3a096533-3a09-3a09-3a09-5ed33a096533 7687a66e-7687-7687-7687-9cfb7687a66e ", 243, 241),
    ("cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", 75, 75),
    ("| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n", 120, 120),
    ("        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n        if x:\n            return y\n", 80, 80),
];

fn of_text(text: &str) -> u64 {
    let json = serde_json::to_string(&[text]).unwrap();
    at_most(json.as_bytes(), &[])
}

#[test]
fn no_text_has_more_tokens_in_a_real_vocabulary_and_few_have_many_fewer() {
    for (text, cl100k, o200k) in COUNTED {
        let (most, real) = (of_text(text), *cl100k.max(o200k));
        assert!(most >= real, "{text}: {real} tokens, at most {most}");
        assert!(most <= 4 * real + 4, "{text}: {real} tokens, at most {most}");
    }
}

#[test]
fn there_are_never_more_tokens_than_bytes() {
    for (text, ..) in COUNTED {
        assert!(of_text(text) <= text.len() as u64, "{text}");
    }
}

#[test]
fn escaped_characters_cost_what_they_cost_in_plain() {
    for (plain, escaped) in [
        ("é", r"\u00e9"),
        ("жук", r"\u0436\u0443\u043a"),
        ("本語", r"\u672c\u8a9e"),
        ("😀", r"\ud83d\ude00"),
        ("ไทย", r"\u0e44\u0e17\u0e22"),
    ] {
        let of = |text: &str| at_most(format!("[\"{text}\"]").as_bytes(), &[]);
        assert_eq!(of(plain), of(escaped), "{plain}");
    }
}

#[test]
fn strings_numbers_and_objects_count_and_payloads_do_not() {
    let json = r#"{"a":[1234,{"b":"word \"word\" word"}],"data":"QUJDQUJDQUJDQUJD"}"#;
    let whole = at_most(json.as_bytes(), &[]);
    let start = json.find("\"QUJD").unwrap();
    let (payload, _) = json.split_at(start).1.split_at(18);
    let without = at_most(json.as_bytes(), &[payload]);
    assert!(without < whole, "{without} {whole}");
    let empty = at_most(json.replace("QUJDQUJDQUJDQUJD", "").as_bytes(), &[]);
    assert_eq!(without, empty);
    assert!(at_most(b"[1234]", &[]) >= 4);
    assert!(at_most(b"{\"open\": \"ends here", &[]) > 3);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_counted(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let most = at_most(&bytes, &[]);
        proptest::prop_assert!(most <= 4 * bytes.len() as u64 + 4, "{most}");
    }
}
