//! Models and networks that break while an answer is held.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

use super::{CHAT, HELD_FOR, NARROW, Net, Question, REFUSAL, on_net};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::client::Response;
use pointsman_testkit::said::says;
use pointsman_testkit::scripted::{Script, Step};

pub const CASES: &[Case] = &[
    ("an_answer_that_stalls_goes_on_after_its_time", stalls),
    ("an_answer_that_stalls_takes_the_request_to_the_other_target_where_that_is_wanted", hasty),
    ("an_answer_that_breaks_off_while_it_is_held_is_replaced", breaks_off),
    ("an_answer_that_is_shorter_than_it_says_is_replaced_and_one_that_is_longer_is_cut", lies),
    ("an_answer_of_64_mib_arrives_byte_for_byte", huge),
    ("an_answer_that_is_longer_than_what_may_be_held_goes_on_without_its_end", longer),
    ("compressed_answers_and_unknown_media_types_pass_and_are_counted", unreadable),
    ("informational_responses_in_front_and_trailers_behind_make_no_difference", frills),
    ("streams_of_http_2_that_are_held_reset_or_left_are_like_those_of_http_1", http2),
];

const TEXT: &str = "It is 4, because 2 + 2 is 4, and it has been for as long as anybody counts.";

fn sound(streamed: bool) -> Script {
    Script::of(&says(TEXT), CHAT, streamed)
}

/// Half of a sound answer, and then something.
fn interrupted(streamed: bool, step: Step) -> Script {
    let script = sound(streamed);
    let half = script.bytes().len() / 2;
    script.interrupted(half, step)
}

fn stalls(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            let before = net.inspected("narrow", "timed_out")?;
            let script = interrupted(streamed, Step::Gate);
            let bytes = script.bytes();
            let question = net.chat("narrow", streamed).answered_with(script);
            let begun = Instant::now();
            let mut answer = question.begin()?;
            let first = answer.next_piece()?.context("no body")?;
            let took = begun.elapsed();
            ensure!((HELD_FOR..HELD_FOR * 5).contains(&took), "{took:?}");
            let mut seen = first.to_vec();
            net.cheap.open(question.id);
            while let Some(piece) = answer.next_piece()? {
                seen.extend(piece);
            }
            let response = Response { status: answer.status, headers: answer.headers, body: seen };
            question.assert_passed(&response, &bytes);
            assert_eq!(net.inspected("narrow", "timed_out")?, before + 1);
        }
        // Before its first byte, too.
        let script = sound(false).interrupted(0, Step::Pause(2 * HELD_FOR));
        let bytes = script.bytes();
        let question = net.chat("narrow", false).answered_with(script);
        question.assert_passed(&question.send()?, &bytes);
        // What is bad, and known to be, is not let through because of the time it took.
        let script =
            Script::of(&says(REFUSAL), CHAT, true).interrupted(10, Step::Pause(HELD_FOR / 2));
        let question = net.chat("narrow", true).answered_with(script);
        question.assert_escalated(&question.send()?, "refusal");
        Ok(())
    })
}

fn hasty(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            for script in [
                interrupted(streamed, Step::Silence),
                sound(streamed).interrupted(0, Step::Silence),
            ] {
                let question = net.chat("hasty", streamed).answered_with(script);
                let begun = Instant::now();
                question.assert_escalated(&question.send()?, "stalled");
                let took = begun.elapsed();
                ensure!((HELD_FOR..HELD_FOR * 5).contains(&took), "{took:?}");
                net.cheap.wait_until_left(question.id)?;
                assert_eq!(question.record()?["escalated"], "stalled");
            }
            // One that is slow, and in time.
            let script = interrupted(streamed, Step::Pause(HELD_FOR / 4));
            let bytes = script.bytes();
            let question = net.chat("hasty", streamed).answered_with(script);
            question.assert_passed(&question.send()?, &bytes);
        }
        Ok(())
    })
}

/// The client has the other target's answer and nothing else; nobody was asked twice.
fn assert_replaced(question: &Question, response: &Response, what: &str) {
    assert_eq!(response.status, 200, "{what}: {}", super::text(&response.body));
    let expected = question.usual_of("strong");
    assert!(response.body == expected, "{what}: {}", super::text(&response.body));
    assert_eq!(response.header("x-pointsman-kept"), None, "{what}");
    assert_eq!(question.counts("strong"), (1, 1), "{what}");
    question.assert_marks_are_hidden(response);
}

fn breaks_off(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for streamed in [false, true] {
            for (what, step) in [("closed", Step::Close), ("reset", Step::Reset)] {
                for (where_, script) in [
                    ("at half", interrupted(streamed, step.clone())),
                    ("behind the head", sound(streamed).interrupted(0, step.clone())),
                    (
                        "late",
                        interrupted(streamed, Step::Pause(Duration::from_millis(30)))
                            .then(step.clone())
                            .claiming(1 << 20),
                    ),
                ] {
                    let what = format!("{what} {where_}, streamed: {streamed}");
                    let question = net.chat("cheap", streamed).answered_with(script);
                    let response = question.send().with_context(|| what.clone())?;
                    assert_replaced(&question, &response, &what);
                    let sign = response.header("x-pointsman-escalated");
                    ensure!([None, Some("unfinished")].contains(&sign), "{what}: {sign:?}");
                    // Five failures in a row would take the endpoint out of service.
                    let question = net.chat("cheap", streamed).answered_with(sound(streamed));
                    question.assert_passed(&question.send()?, &sound(streamed).bytes());
                }
            }
        }
        // Where the connection's end is the answer's, only the answer says that it is not over.
        for streamed in [false, true] {
            let whole = sound(streamed).bytes();
            let media = if streamed { "text/event-stream" } else { "application/json" };
            let script = Script::body(media, whole.slice(..whole.len() / 2)).until_close();
            let question = net.chat("cheap", streamed).answered_with(script);
            question.assert_escalated(&question.send()?, "unfinished");
        }
        Ok(())
    })
}

fn lies(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let whole = sound(false);
        let length = whole.bytes().len();
        // As far as anybody can know, this is all.
        let question = net.chat("cheap", false).answered_with(whole.clone().claiming(20));
        assert_replaced(&question, &question.send()?, "shorter");
        let script = whole.clone().claiming(length + 100).then(Step::Close);
        let question = net.chat("cheap", false).answered_with(script);
        assert_replaced(&question, &question.send()?, "longer");
        // Bytes behind a whole answer are nobody's.
        let more = whole.clone().claiming(length).then(Step::Send(Bytes::from_static(b"more")));
        let question = net.chat("cheap", false).answered_with(more);
        question.assert_passed(&question.send()?, &whole.bytes());
        let question = net.chat("cheap", false).answered_with(whole.clone());
        question.assert_passed(&question.send()?, &whole.bytes());
        Ok(())
    })
}

fn huge(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let whole = sound(false).bytes();
        let at = whole.windows(5).position(|it| it == b"It is").context("the text")?;
        let piece: Bytes = (0..1 << 16).map(|at: usize| b'a' + (at % 23) as u8).collect();
        let script = Script::json(whole.slice(..at))
            .then(Step::Repeat(piece, 1024))
            .then(Step::Send(whole.slice(at..)));
        let bytes = script.bytes();
        for (script, target) in
            [(script.clone(), "narrow"), (script.clone().chunked(), "narrow"), (script, "cheap")]
        {
            let before = net.inspected(target, "too_long")?;
            let question = net.chat(target, false).answered_with(script);
            let response = question.send()?;
            assert_eq!(response.body.len(), bytes.len());
            question.assert_passed(&response, &bytes);
            assert_eq!(net.inspected(target, "too_long")?, before + 1, "{target}");
        }
        Ok(())
    })
}

fn longer(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        // Its end is bad, which nobody sees before the beginning has to go on.
        let long = says("Once upon a time. ".repeat(400)).ended_by("length", 7);
        for streamed in [false, true] {
            let script = Script::of(&long, CHAT, streamed);
            let bytes = script.bytes();
            ensure!(bytes.len() > NARROW);
            let half = script.interrupted(NARROW + 1000, Step::Gate);
            let question = net.chat("narrow", streamed).answered_with(half);
            let mut answer = question.begin()?;
            net.cheap.open(question.id);
            let mut body = Vec::new();
            while let Some(piece) = answer.next_piece()? {
                body.extend(piece);
            }
            let response = Response { status: answer.status, headers: answer.headers, body };
            question.assert_passed(&response, &bytes);
        }
        Ok(())
    })
}

fn unreadable(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let bad = Script::of(&says(REFUSAL), CHAT, false).bytes();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bad)?;
        let packed = Bytes::from(encoder.finish()?);
        for script in [
            Script::json(packed.clone()).header("content-encoding", "gzip"),
            Script::body("text/event-stream", packed).header("content-encoding", "gzip").chunked(),
            Script::body("image/png", bad.clone()),
            Script::body("application/octet-stream", bad.clone()).chunked(),
        ] {
            let (bytes, before) = (script.bytes(), net.inspected("cheap", "unreadable")?);
            let question = net.chat("cheap", false).answered_with(script);
            question.assert_passed(&question.send()?, &bytes);
            assert_eq!(net.inspected("cheap", "unreadable")?, before + 1);
        }
        let plain = Script::json(bad).header("content-encoding", "identity");
        let question = net.chat("cheap", false).answered_with(plain);
        question.assert_escalated(&question.send()?, "refusal");
        Ok(())
    })
}

/// What HTTP/1.1 allows in front of an answer.
const INFORMATIONAL: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\
    link: </style.css>; rel=preload\r\n\r\n";

fn frills(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        let frilled = |script: Script| {
            let script = script.chunked().trailer("x-checksum", "17");
            script.preceded_by(INFORMATIONAL)
        };
        for streamed in [false, true] {
            for target in ["cheap", "fast"] {
                let question = net.chat(target, streamed).answered_with(frilled(sound(streamed)));
                question.assert_passed(&question.send()?, &sound(streamed).bytes());
                let bad = Script::of(&says(REFUSAL), CHAT, streamed);
                let question = net.chat(target, streamed).answered_with(frilled(bad));
                question.assert_escalated(&question.send()?, "refusal");
                // The other target's, after an answer that was held.
                let question = net
                    .chat(target, streamed)
                    .refused()
                    .then_with("strong", frilled(sound(streamed)));
                let response = question.send()?;
                assert_eq!(response.body, sound(streamed).bytes());
                assert_eq!(response.header("x-pointsman-escalated"), Some("refusal"));
                assert_eq!(question.counts("strong"), (1, 1));
            }
        }
        Ok(())
    })
}

fn http2(stage: &Stage) -> Result<()> {
    on_net(stage, |net: &Net| {
        for streamed in [false, true] {
            let question = net.chat("fast", streamed).answered_with(sound(streamed));
            question.assert_passed(&question.send()?, &sound(streamed).bytes());
            let question = net.chat("fast", streamed).refused();
            question.assert_escalated(&question.send()?, "refusal");
            for script in
                [interrupted(streamed, Step::Reset), sound(streamed).interrupted(0, Step::Reset)]
            {
                let question = net.chat("fast", streamed).answered_with(script);
                assert_replaced(&question, &question.send()?, "a stream that is reset");
                let question = net.chat("fast", streamed).answered_with(sound(streamed));
                question.assert_passed(&question.send()?, &sound(streamed).bytes());
            }
            // In order, as far as HTTP knows.
            let question =
                net.chat("fast", streamed).answered_with(interrupted(streamed, Step::Close));
            question.assert_escalated(&question.send()?, "unfinished");
        }
        Ok(())
    })
}
