//! The paid part: replays rows through the cheap model and asks the judge, many at a time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use serde_json::Value;

use super::answer::ModelAnswer;
use super::client::{CallError, Endpoint};
use super::counts::CallCounts;
use super::error::LabelError;
use super::evaluators::sandbox::Sandbox;
use super::evaluators::{Evaluator, Pair, judge, reading};
use super::journal::{CallKey, CallKind, Journal, PaidCall};
use super::observer::Observer;
use super::options::LabelOptions;
use super::price::{Purse, billed, estimate as estimate_usage};
use super::record::Record;
use super::scan::Plan;
use crate::files::{Problem, Problems};
use pointsman_core::target::{Price, Usage};

/// After this many failed calls in a row the endpoint is down; the rows are not at fault.
const HOPELESS: u32 = 20;

/// What the calls left behind.
pub struct Made {
    pub journal: Journal,
    /// Rows that got no answer, or that nothing can be learnt from; already counted.
    pub skipped: HashSet<usize>,
    pub out_of_budget: bool,
    pub counts: CallCounts,
}

/// The key of a row's replay.
pub fn replay_key(options: &LabelOptions, record: &Record) -> Option<CallKey> {
    options.cheap.as_ref().map(|cheap| CallKey::of(&record.request.for_model(&cheap.model)))
}

/// The key of a row's first call.
fn first_key(options: &LabelOptions, record: &Record) -> Option<CallKey> {
    let reader = options.judge.as_ref().filter(|_| options.reads_requests());
    match reader {
        Some(reader) => Some(CallKey::of(&reading::body(&record.request, &reader.model))),
        None => replay_key(options, record),
    }
}

enum Event {
    Paid(PaidCall),
    Done,
    Skipped(usize, Problem, String),
    OutOfBudget,
    Refused(String),
    Broken(LabelError),
}

struct Job {
    row: usize,
    record: Record,
}

struct Shared<'a> {
    options: &'a LabelOptions,
    plan: &'a Plan,
    sandbox: &'a Sandbox,
    cheap: Option<Endpoint>,
    judge: Option<Endpoint>,
    journal: Mutex<Journal>,
    purse: Mutex<Purse>,
    stop: AtomicBool,
    failures: AtomicU32,
}

/// Makes all calls that the journal does not have.
///
/// # Errors
/// An endpoint refuses everything, the journal cannot be written, or `--strict` met a failed call.
pub fn make(
    options: &LabelOptions,
    plan: &Plan,
    mut journal: Journal,
    sandbox: &Sandbox,
    problems: &mut Problems,
    observer: &dyn Observer,
) -> Result<Made, LabelError> {
    let mut counts = CallCounts { reused: journal.calls(), ..CallCounts::default() };
    let mut spent = 0.0;
    journal.for_each(|kind, answer| {
        spent += price(options, kind).of(answer.usage.unwrap_or_default());
    })?;
    let shared = Shared {
        options,
        plan,
        sandbox,
        cheap: options.cheap.as_ref().map(Endpoint::new).transpose()?,
        judge: options.judge.as_ref().map(Endpoint::new).transpose()?,
        journal: Mutex::new(journal),
        purse: Mutex::new(Purse::new(options.budget, spent)),
        stop: AtomicBool::new(false),
        failures: AtomicU32::new(0),
    };
    let mut skipped = HashSet::new();
    let mut out_of_budget = false;
    if shared.cheap.is_some() || shared.judge.is_some() {
        observer.begin("calling models", Some(plan.rows.len() as u64));
        // Rows that ask the same wait for the first of them, so that nothing is paid twice.
        let mut wave: Option<HashSet<usize>> = None;
        loop {
            let later = shared.run_wave(
                wave.as_ref(),
                &mut Collector {
                    problems,
                    observer,
                    counts: &mut counts,
                    skipped: &mut skipped,
                    out_of_budget: &mut out_of_budget,
                },
            )?;
            if later.is_empty() || out_of_budget {
                break;
            }
            wave = Some(later);
        }
    }
    let endpoints = [&shared.cheap, &shared.judge];
    counts.retried = endpoints.into_iter().flatten().map(Endpoint::retried).sum();
    let purse = shared.purse.into_inner().unwrap_or_else(|e| e.into_inner());
    counts.dollars = purse.spent();
    let journal = shared.journal.into_inner().unwrap_or_else(|e| e.into_inner());
    Ok(Made { journal, skipped, out_of_budget, counts })
}

fn price(options: &LabelOptions, kind: CallKind) -> Price {
    match kind {
        CallKind::Replay => options.cheap_price,
        CallKind::Judge => options.judge_price,
    }
    .unwrap_or_default()
}

/// Receives what the workers did; the only writer of the journal.
struct Collector<'a> {
    problems: &'a mut Problems,
    observer: &'a dyn Observer,
    counts: &'a mut CallCounts,
    skipped: &'a mut HashSet<usize>,
    out_of_budget: &'a mut bool,
}

impl Collector<'_> {
    fn collect(&mut self, shared: &Shared, events: &Receiver<Event>) -> Result<(), LabelError> {
        while let Ok(event) = events.recv() {
            // Whatever else has arrived shares one wait for the disk.
            let batch: Vec<Event> = std::iter::once(event).chain(events.try_iter()).collect();
            let paid: Vec<PaidCall> = batch
                .iter()
                .filter_map(
                    |event| if let Event::Paid(call) = event { Some(call.clone()) } else { None },
                )
                .collect();
            if !paid.is_empty() {
                shared.journal().append(&paid)?;
            }
            for event in batch {
                self.take(shared, event)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, shared: &Shared, event: Event) -> Result<(), LabelError> {
        match event {
            Event::Paid(call) => self.counts.add(call.answer.usage),
            Event::Done => self.observer.advance(),
            Event::Skipped(row, kind, what) => {
                self.observer.advance();
                self.skipped.insert(row);
                let (path, line) = shared.plan.place(row);
                self.problems.add(kind, path, line, what)?;
                self.problems.take_named().iter().for_each(|line| self.observer.say(line));
            }
            Event::OutOfBudget => *self.out_of_budget = true,
            Event::Refused(what) => return Err(LabelError::Endpoint(what)),
            Event::Broken(error) => return Err(error),
        }
        Ok(())
    }
}

impl Shared<'_> {
    /// Runs the rows of a wave (all when `None`) and returns those put off to the next.
    fn run_wave(
        &self,
        wave: Option<&HashSet<usize>>,
        collector: &mut Collector,
    ) -> Result<HashSet<usize>, LabelError> {
        let workers = [&self.options.cheap, &self.options.judge]
            .into_iter()
            .flatten()
            .map(|endpoint| endpoint.concurrency)
            .max()
            .unwrap_or(1)
            .max(1);
        let (job_sender, jobs) = sync_channel::<Job>(2 * workers);
        let jobs = Mutex::new(jobs);
        let (event_sender, events) = channel::<Event>();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (jobs, events) = (&jobs, event_sender.clone());
                scope.spawn(move || self.work(jobs, &events));
            }
            let feeder = scope.spawn(|| {
                let result = self.feed(wave, job_sender);
                if result.is_err() {
                    self.stop.store(true, Ordering::Relaxed);
                }
                result
            });
            drop(event_sender);
            let collected = collector.collect(self, &events);
            if collected.is_err() {
                self.stop.store(true, Ordering::Relaxed);
                self.save_rest(&events)?;
            }
            // A worker that stops early leaves jobs behind; the feeder must not wait for them.
            let later = feeder.join().unwrap_or_else(|_| Ok(HashSet::new()));
            collected?;
            later
        })
    }

    /// After a failure the calls in flight are still paid for: they are kept, too.
    fn save_rest(&self, events: &Receiver<Event>) -> Result<(), LabelError> {
        for event in events.iter() {
            if let Event::Paid(call) = event {
                self.journal().append(&[call])?;
            }
        }
        Ok(())
    }

    fn feed(
        &self,
        wave: Option<&HashSet<usize>>,
        jobs: SyncSender<Job>,
    ) -> Result<HashSet<usize>, LabelError> {
        let mut later = HashSet::new();
        let mut asked = HashSet::new();
        let mut reader = self.plan.reader();
        while let Some((row, record)) =
            reader.next(|row| wave.is_none_or(|wave| wave.contains(&row)))?
        {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some(key) = first_key(self.options, &record)
                && !asked.insert(key)
            {
                later.insert(row);
                continue;
            }
            if jobs.send(Job { row, record }).is_err() {
                break;
            }
        }
        Ok(later)
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>, events: &Sender<Event>) {
        loop {
            let job = jobs.lock().unwrap_or_else(|e| e.into_inner()).recv();
            let Ok(job) = job else { return };
            // Jobs left in the queue are taken and dropped, so that the feeder never blocks.
            if self.stop.load(Ordering::Relaxed) {
                continue;
            }
            let event = match self.label(&job, events) {
                Ok(()) => Event::Done,
                Err(event) => event,
            };
            if matches!(event, Event::OutOfBudget | Event::Refused(_) | Event::Broken(_)) {
                self.stop.store(true, Ordering::Relaxed);
            }
            // The collector is gone only when the run is over.
            let _ = events.send(event);
        }
    }

    /// Makes the calls of one row.
    fn label(&self, job: &Job, events: &Sender<Event>) -> Result<(), Event> {
        let record = &job.record;
        let evaluator = self.plan.rows[job.row].evaluator;
        if evaluator == Evaluator::Judged {
            let Some(endpoint) = &self.judge else { return Ok(()) };
            let body = reading::body(&record.request, endpoint.model());
            let accept = |answer: &ModelAnswer| match reading::read(answer) {
                Some(_) => Ok(()),
                None => Err("the reader gave no score".to_owned()),
            };
            self.ask(endpoint, CallKind::Judge, &body, job, events, || Ok(()), accept)?;
            return Ok(());
        }
        let cheap = match &self.cheap {
            None => record.cheap.clone().unwrap_or_default(),
            Some(endpoint) => {
                let body = record.request.for_model(endpoint.model());
                let check = || {
                    evaluator.check(&record.request, &record.strong, self.sandbox).map_err(|why| {
                        Event::Skipped(job.row, Problem::Unscorable, why.to_string())
                    })
                };
                let accept = |_: &ModelAnswer| Ok(());
                self.ask(endpoint, CallKind::Replay, &body, job, events, check, accept)?
            }
        };
        if evaluator != Evaluator::Judge || cheap.is_empty() {
            return Ok(());
        }
        let Some(endpoint) = &self.judge else { return Ok(()) };
        let pair = Pair { request: &record.request, strong: &record.strong, cheap: &cheap };
        for (body, cheap_is_a) in judge::bodies(&pair, endpoint.model()).iter().zip([true, false]) {
            let accept = |answer: &ModelAnswer| match judge::read(answer, cheap_is_a) {
                Some(_) => Ok(()),
                None => Err("the judge gave no verdict".to_owned()),
            };
            self.ask(endpoint, CallKind::Judge, body, job, events, || Ok(()), accept)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one call site a kind; a struct would hide them")]
    fn ask(
        &self,
        endpoint: &Endpoint,
        kind: CallKind,
        body: &Value,
        job: &Job,
        events: &Sender<Event>,
        check: impl FnOnce() -> Result<(), Event>,
        accept: impl Fn(&ModelAnswer) -> Result<(), String>,
    ) -> Result<ModelAnswer, Event> {
        let key = CallKey::of(body);
        if let Some(answer) = self.journal().get(key).map_err(Event::Broken)? {
            return Ok(answer);
        }
        check()?;
        let price = price(self.options, kind);
        let limit = job.record.request.max_tokens();
        let estimate = price.of(estimate_usage(body, &job.record.strong, limit));
        let Some(reserved) = self.purse().reserve(estimate) else {
            return Err(Event::OutOfBudget);
        };
        let called = endpoint.call(body, &self.stop, accept);
        let usage = called.as_ref().map_or(Usage::default(), |answer| billed(body, answer));
        self.purse().settle(reserved, price.of(usage));
        match called {
            Ok(mut answer) => {
                // The journal holds what was paid, so that a later run knows it.
                answer.usage = Some(usage);
                self.failures.store(0, Ordering::Relaxed);
                let _ = events.send(Event::Paid(PaidCall { key, kind, answer: answer.clone() }));
                Ok(answer)
            }
            Err(CallError::Refused(what)) => Err(Event::Refused(what)),
            Err(CallError::Failed(what)) => {
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= HOPELESS {
                    let what = format!("{HOPELESS} calls in a row failed; the last one: {what}");
                    return Err(Event::Refused(what));
                }
                Err(Event::Skipped(job.row, Problem::CallFailed, what))
            }
            Err(CallError::Stopped) => Err(Event::Done),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(|e| e.into_inner())
    }
}
