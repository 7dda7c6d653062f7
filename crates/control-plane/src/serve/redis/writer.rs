//! Posts to the server, many in one round trip.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use redis::{Connection, Script, pipe};

use super::{LESSONS, PENDING, RECENT, RedisStoreError, Server, TOTALS};
use crate::serve::attribution::Counts;
use crate::serve::caches::Caches;
use crate::serve::learning::Learner;
use crate::serve::line::{Stored, encode};
use crate::serve::status::{BUCKET_MS, BUCKETS};
use crate::serve::writer::{COMMIT, Job};

/// Most lines of one run of the script: the server does nothing else meanwhile.
const RUN: usize = 500;

pub struct Writer {
    server: Server,
    window_ms: u64,
    learner: Learner,
    script: Script,
    caches: Caches,
}

impl Writer {
    pub fn new(server: Server, window: Duration, learner: Learner, caches: Caches) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let script = Script::new(include_str!("attribute.lua"));
        Writer { server, window_ms, learner, script, caches }
    }

    /// Works until it is told to stop. What the server did not confirm is not acknowledged; ids
    /// make it harmless to send it again.
    pub fn run(self, jobs: &Receiver<Job>) {
        let mut connection = None;
        while let Ok(first) = jobs.recv() {
            let jobs: Vec<Job> =
                std::iter::once(first).chain(jobs.try_iter().take(COMMIT)).collect();
            let stop = jobs.iter().any(|job| matches!(job, Job::Stop));
            let posts: Vec<_> = jobs
                .into_iter()
                .filter_map(|job| match job {
                    Job::Lines { lines, done } => Some((lines, done)),
                    _ => None,
                })
                .collect();
            let batches: Vec<&[Stored]> = posts.iter().map(|(lines, _)| lines.as_slice()).collect();
            let counts = self.post(&mut connection, &batches);
            if counts.is_err() {
                connection = None;
            }
            let mut counts = counts.map(Vec::into_iter);
            for (_, done) in posts {
                let result = match &mut counts {
                    Ok(counts) => counts.next().ok_or(()),
                    Err(_) => Err(()),
                };
                // A client that went away does not change what was written.
                let _ = done.send(result);
            }
            if stop {
                self.learner.finish();
                return;
            }
        }
    }

    fn post(
        &self,
        connection: &mut Option<Connection>,
        batches: &[&[Stored]],
    ) -> Result<Vec<Counts>, RedisStoreError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.server.connect()?),
        };
        let mut pipeline = pipe();
        pipeline.load_script(&self.script).ignore();
        for run in batches.iter().flat_map(|lines| lines.chunks(RUN)) {
            let mut invocation = self.script.prepare_invoke();
            invocation.key(LESSONS).key(TOTALS).key(PENDING).key(RECENT);
            invocation.arg(self.window_ms).arg(BUCKET_MS).arg(BUCKETS);
            for line in run {
                invocation.arg(encode(std::slice::from_ref(line)));
            }
            pipeline.invoke_script(&invocation);
        }
        let answers: Vec<(u64, u64, u64, Vec<usize>)> = pipeline.query(connection)?;
        let mut answers = answers.into_iter();
        let counts = batches.iter().map(|lines| {
            let mut counts = Counts::default();
            for (run, answer) in lines.chunks(RUN).zip(answers.by_ref()) {
                let (accepted, duplicate, early, again) = answer;
                counts += Counts { accepted, duplicate, early, ..Counts::default() };
                for (at, line) in run.iter().enumerate() {
                    if again.binary_search(&at).is_err() {
                        self.caches.tell(line);
                    }
                }
            }
            counts
        });
        Ok(counts.collect())
    }
}
