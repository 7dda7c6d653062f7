//! The client leaves while its answer is held.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{CHAT, Net, Question, on_net};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::RUNTIME;
use pointsman_testkit::said::{delta, says};
use pointsman_testkit::scripted::{Script, Step};

pub const CASES: &[Case] =
    &[("when_the_client_leaves_a_held_answer_its_model_is_left_too", leaves)];

/// Sends a question on a raw connection, which ends when it is dropped.
fn send(question: &Question) -> Result<TcpStream> {
    let body = question.body.to_string();
    let fields = question.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n",
        question.path,
        fields.collect::<String>(),
        body.len()
    );
    RUNTIME.block_on(async {
        let mut stream = TcpStream::connect(question.net.envoy.listener).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        Ok(stream)
    })
}

/// The client of `target` leaves in the middle of what its model says, which is held.
fn assert_left(net: &Net, target: &'static str, script: Script, reset: bool) -> Result<()> {
    let before = net.inspected(target, "aborted")?;
    let question = net.chat(target, true).answered_with(script);
    let stream = send(&question)?;
    net.model(target).wait_for(question.id)?;
    // The beginning of the answer is on its way.
    std::thread::sleep(Duration::from_millis(50));
    if reset {
        stream.set_zero_linger()?;
    }
    drop(stream);
    net.model(target).wait_until_left(question.id)?;
    net.wait_for_inspected(target, "aborted", before)?;
    assert_eq!(question.counts("strong"), (1, 0), "{target}");
    Ok(())
}

fn leaves(stage: &Stage) -> Result<()> {
    on_net(stage, |net| {
        for target in ["cheap", "head", "fast"] {
            for reset in [false, true] {
                let script = Script::events([delta("It"), delta(" is")]).then(Step::Silence);
                assert_left(net, target, script, reset)?;
                let script = Script::events(Vec::<Bytes>::new()).then(Step::Silence);
                assert_left(net, target, script, reset)?;
            }
            // Nothing is left of them in the way of the next.
            let script = Script::of(&says("It is 4."), CHAT, true);
            let bytes = script.bytes();
            let question = net.chat(target, true).answered_with(script);
            question.assert_passed(&question.send()?, &bytes);
        }
        // While the other target is asked.
        let question = net
            .chat("cheap", true)
            .refused()
            .then_with("strong", Script::events([delta("It")]).then(Step::Silence));
        let stream = send(&question)?;
        net.strong.wait_for(question.id)?;
        drop(stream);
        net.strong.wait_until_left(question.id)?;
        assert_eq!(question.counts("strong"), (1, 1));
        Ok(())
    })
}
