//! Any bytes, in any pieces.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::ApiFormat;

/// Bytes that look like an answer, more or less.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(":"),
            Just(","),
            Just("\""),
            Just("\\"),
            Just("\n\n"),
            Just("data: "),
            Just("null"),
            Just("0"),
            Just("\"choices\""),
            Just("\"delta\""),
            Just("\"message\""),
            Just("\"content\""),
            Just("\"tool_calls\""),
            Just("\"function\""),
            Just("\"type\""),
            Just("\"response.completed\""),
            Just("\"text\""),
            Just("\"output\""),
            Just("\"message_start\""),
            Just("\"finish_reason\":\"stop\""),
            Just("\"arguments\""),
            Just("\"name\""),
            Just("[DONE]"),
        ]
        .prop_map(|word| word.as_bytes().to_vec()),
    ];
    proptest::collection::vec(words, 0..120).prop_map(|words| words.concat())
}

/// All that an examiner says.
fn said(
    read: &Examiner,
) -> (Option<Sign>, Option<Sign>, String, [bool; 3], Option<LogProbability>) {
    (
        read.sign(false),
        read.sign(true),
        read.text().to_owned(),
        [read.is_cut(), read.ran_tools(), read.first_call_complete()],
        read.log_probability(),
    )
}

fn compare(format: ApiFormat, request: &serde_json::Value, bytes: &[u8], size: usize) {
    for content_type in [JSON, EVENTS] {
        let whole = examined(format, request, content_type, &[bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let pieces = examined(format, request, content_type, &pieces);
        assert_eq!(said(&whole), said(&pieces), "in pieces of {size}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_pieces_do_not_matter(bytes in noise(), size in 1_usize..60) {
        for format in ApiFormat::ALL {
            compare(format, &json!({"response_format": {"type": "json_object"}}), &bytes, size);
        }
    }

    /// An answer with some bytes damaged, or cut.
    #[test]
    fn damage_does_no_harm(
        text in ".{0,80}", at in any::<prop::sample::Index>(), byte in any::<u8>(),
        end in any::<prop::sample::Index>(), size in 1_usize..60, streamed in any::<bool>(),
    ) {
        for format in WITH_TOOLS {
            let said = Said { text: text.clone(), ..calls("weather", r#"{"city":"Rome"}"#) };
            let (_, body) = said.answer(format, streamed);
            let mut bytes = body.into_bytes();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            compare(format, &with_tools(format), &bytes, size);
            bytes.truncate(end.index(bytes.len()));
            compare(format, &with_tools(format), &bytes, size);
        }
    }

    #[test]
    fn any_request_is_read(bytes in noise()) {
        for format in ApiFormat::ALL {
            Expectation::read(format, &bytes);
        }
    }

    /// Whatever is said, it is put together as it was.
    #[test]
    fn texts_are_put_together(text in "[^<◁]{1,200}") {
        for format in ApiFormat::ALL {
            for streamed in [false, true] {
                let (content_type, body) = says(text.clone()).answer(format, streamed);
                let read = examined(format, &json!({}), content_type, &[body.as_bytes()]);
                prop_assert_eq!(read.text(), &text);
            }
        }
    }
}
