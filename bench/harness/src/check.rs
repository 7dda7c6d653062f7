//! A variant is seen to do its duty before it is measured: a router that decides nothing is fast.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::exchange;
use crate::load::bodies;
use crate::load::upstream::{TARGETS, Upstreams};
use crate::system::System;
use crate::variants::Duty;

/// Any router's cheap target should do.
const EASY: &str = "What is the capital of Mongolia?";

/// Long, technical, with proof, code and several steps: hard by everybody's standards.
const HARD: &str = "Think step by step and reason through this carefully. First, design a distributed \
    consensus algorithm for a microservices architecture whose database shards must tolerate Byzantine \
    faults, then prove its safety and liveness as a theorem, and analyze the time complexity of the \
    recovery protocol. Then debug this race condition under load and explain the root cause:\n\n\
    ```rust\nasync fn commit(log: &Mutex<Vec<Entry>>, peers: &[Peer]) -> Result<(), Error> {\n    \
    let entries = log.lock().await;\n    for peer in peers { peer.append(&entries).await?; }\n    \
    Ok(())\n}\n```\n\nFinally, derive a lower bound on the number of messages, compare the trade-offs of \
    at least three alternatives in depth, and write an optimized, thread-safe implementation with unit \
    tests for the API, the encryption layer and the Kubernetes deployment.";

/// # Errors
///
/// The variant does something else than it must.
pub fn does_its_duty(system: &System, upstreams: &Upstreams) -> Result<()> {
    let check = Check { system, upstreams };
    upstreams.keep_bodies(true);
    let checked = check.all();
    upstreams.keep_bodies(false);
    checked.with_context(|| format!("{} does not do what it is measured for", system.variant.name))
}

struct Check<'s> {
    system: &'s System,
    upstreams: &'s Upstreams,
}

impl Check<'_> {
    fn all(&self) -> Result<()> {
        for (text, decided) in [(EASY, "cheap"), (HARD, "strong")] {
            let wanted = match self.system.variant.duty {
                Duty::Passes | Duty::Observes => "strong",
                Duty::Routes => "cheap",
                Duty::Decides | Duty::Rewrites | Duty::Reissues => decided,
            };
            self.one(text, wanted, decided)?;
        }
        Ok(())
    }

    fn one(&self, text: &str, wanted: &str, decided: &str) -> Result<()> {
        let duty = self.system.variant.duty;
        let before = self.upstreams.counts();
        let answer = exchange::once(self.system.address, &bodies::asking(text))?;
        ensure!(answer.status == 200, "status {}", answer.status);
        let after = self.upstreams.counts();
        let seen = TARGETS.into_iter().zip(before.into_iter().zip(after));
        let seen: Vec<&str> = seen.filter(|(_, (b, a))| a > b).map(|(name, _)| name).collect();
        let begin: String = text.chars().take(30).collect();
        ensure!(seen == [wanted], "“{begin}…” went to {seen:?}, and not to {wanted}");
        if duty == Duty::Observes {
            let named = answer.header("x-pointsman-target");
            ensure!(named == Some(decided), "“{begin}…” would go to {named:?}");
        }
        self.body(&bodies::body(text), wanted)
    }

    /// The upstream got the body that was sent, byte for byte, or with the model's name in it.
    fn body(&self, sent: &[u8], target: &str) -> Result<()> {
        let got = self.upstreams.last_body();
        match self.system.variant.duty {
            Duty::Reissues => {
                let body: Value = serde_json::from_slice(&got)?;
                ensure!(body["messages"][0]["content"].is_string(), "the upstream got no message");
            }
            Duty::Rewrites => {
                let model = if target == "cheap" { "small-model" } else { "large-model" };
                let written = String::from_utf8(sent.to_vec())?.replacen("auto", model, 1);
                ensure!(got == written.as_bytes(), "the upstream got another body");
            }
            _ if got != sent => bail!("the upstream got another body"),
            _ => {}
        }
        Ok(())
    }
}
