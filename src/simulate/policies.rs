//! Real policies in front of the caches: hit rates, spending, waiting.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rayon::prelude::*;
use serde::Serialize;

use super::caches::{Asked, From, Served, Wordings, serve};
use super::compounding::{CacheOptions, Rates, asked, uniform};
use super::levels::strategy;
use super::{
    Drift, Learned, LevelOptions, Mean, Pool, Questions, Request, Seen, Setting, Trace, Trainer,
    play, repeated,
};

/// What the models cost and how long they take: assumptions, not measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Models {
    /// USD per million prompt tokens, cheap and strong.
    pub input_price: [f64; 2],
    /// USD per million answer tokens.
    pub output_price: [f64; 2],
    /// Seconds to the first token.
    pub first_token: [f64; 2],
    /// Answer tokens per second.
    pub speed: [f64; 2],
    /// Seconds that a cached answer takes.
    pub hit: f64,
}

impl Default for Models {
    fn default() -> Self {
        Models {
            input_price: [0.15, 2.5],
            output_price: [0.6, 10.0],
            first_token: [0.4, 0.7],
            speed: [100.0, 60.0],
            hit: 0.002,
        }
    }
}

impl Models {
    /// Seconds that a target's model takes for `tokens` answer tokens.
    pub fn seconds(&self, target: usize, answer_tokens: f64) -> f64 {
        self.first_token[target] + answer_tokens / self.speed[target]
    }

    fn spend(&self, target: usize, prompt_tokens: f64, answer_tokens: f64) -> f64 {
        let input = prompt_tokens * self.input_price[target];
        (input + answer_tokens * self.output_price[target]) / 1e6
    }
}

/// Bytes of a token, about.
const TOKEN_BYTES: f64 = 4.0;
/// Most requests that a policy learns from before its caches are looked at.
const LEARNED_FROM: usize = 100_000;
/// The policies that are compared.
const POLICIES: [&str; 5] =
    ["always strong", "rules", "classifier", "classifier and bandit", "oracle"];

/// A policy with or without caches behind it: means over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behind {
    pub policy: &'static str,
    pub cached: bool,
    /// Share of the questions that the policy sends to more than one target, by their wording.
    pub torn: Mean,
    pub accuracy: Mean,
    pub hit: Mean,
    pub effective: Mean,
    pub false_hit: Mean,
    /// Mean quality of the answers; another question's answer has none.
    pub quality: Mean,
    /// USD per million requests.
    pub spend: Mean,
    /// Seconds for an answer.
    pub seconds: Mean,
    /// Seconds that one answer in twenty exceeds.
    pub seconds_p95: Mean,
}

/// One run of a policy.
#[derive(Default)]
struct Run {
    torn: f64,
    rates: Rates,
    quality: f64,
    spend: f64,
    seconds: f64,
    seconds_p95: f64,
}

/// Lets every policy learn from one half of the questions, and route the other half, in all its
/// wordings, to targets with and without caches. `wordings` are those of
/// [`Questions::of_rows`] on the same pool.
pub fn behind(
    pool: &Pool,
    questions: &Questions,
    wordings: &Wordings,
    trace: &Trace,
    levels: &LevelOptions,
    caches: &CacheOptions,
    models: &Models,
) -> Vec<Behind> {
    let seen: Vec<Seen> = questions.texts.par_iter().map(|text| Seen::of(text)).collect();
    let bench = Bench { pool, questions, wordings, seen, trace, levels, caches, models };
    let runs: Vec<Vec<Run>> =
        (0..levels.seeds).into_par_iter().map(|seed| bench.of_seed(seed)).collect();
    let lines = POLICIES.iter().flat_map(|&policy| [(policy, false), (policy, true)]);
    let mean = |line: usize, of: fn(&Run) -> f64| {
        Mean::of(&runs.iter().map(|run| of(&run[line])).collect::<Vec<f64>>())
    };
    lines
        .enumerate()
        .map(|(line, (policy, cached))| Behind {
            policy,
            cached,
            torn: mean(line, |run| run.torn),
            accuracy: mean(line, |run| run.rates.accuracy),
            hit: mean(line, |run| run.rates.hit),
            effective: mean(line, |run| run.rates.effective),
            false_hit: mean(line, |run| run.rates.false_hit),
            quality: mean(line, |run| run.quality),
            spend: mean(line, |run| run.spend),
            seconds: mean(line, |run| run.seconds),
            seconds_p95: mean(line, |run| run.seconds_p95),
        })
        .collect()
}

struct Bench<'a> {
    pool: &'a Pool,
    questions: &'a Questions,
    wordings: &'a Wordings,
    /// One per wording.
    seen: Vec<Seen>,
    trace: &'a Trace,
    levels: &'a LevelOptions,
    caches: &'a CacheOptions,
    models: &'a Models,
}

impl Bench<'_> {
    /// Every policy, without and with caches.
    fn of_seed(&self, seed: u64) -> Vec<Run> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let [tested, learned_from] = self.pool.halves(&mut rng);
        let penalties = self.levels.penalties();
        let most = self.levels.levels.iter().copied().max().unwrap_or(0).min(LEARNED_FROM);
        let prompts = repeated(&learned_from, most, self.levels.repeat_share, &mut rng);
        let times = self.trace.arrivals(prompts.len(), self.levels.period);
        let requests: Vec<Request> =
            times.iter().zip(&prompts).map(|(&at, &item)| Request { at, item }).collect();
        let setting = Setting {
            pool: self.pool,
            requests: &requests,
            penalties,
            drift: Drift::None,
            drift_at: requests.len(),
            delay: self.levels.delay,
            feedback_share: self.levels.feedback_share,
            publish_every: self.levels.publish_every,
            seed,
        };
        let mut trainer =
            Trainer::new(self.pool, learned_from.clone(), self.levels.algorithm, penalties);
        let right = self.pool.right(penalties);
        let asked = asked(self.wordings, &tested, self.trace, self.caches, &mut rng);
        let mut runs = Vec::new();
        for policy in POLICIES {
            let (_, learned) = play(&setting, &strategy(policy, self.levels), &mut trainer);
            let route = |place: usize| {
                self.route(policy, &learned, &right, asked[place], uniform(seed, place))
            };
            let torn = self.torn(&tested, |wording| {
                let asked = Asked { at: 0.0, wording };
                self.route(policy, &learned, &right, asked, uniform(seed, wording))
            });
            let direct = |place: usize| Served {
                target: route(place),
                from: From::Model,
                question: self.questions.question[asked[place].wording],
            };
            let uncached: Vec<Served> = (0..asked.len()).map(direct).collect();
            let cached = serve(&asked, self.wordings, route, |place, target| {
                self.models.seconds(target, f64::from(self.trace.answer_tokens(place)))
            });
            for served in [uncached, cached] {
                runs.push(Run { torn, ..self.measure(&served, &asked, &right) });
            }
        }
        runs
    }

    fn route(
        &self,
        policy: &str,
        learned: &Learned,
        right: &[usize],
        asked: Asked,
        uniform: f64,
    ) -> usize {
        match policy {
            "oracle" => right[self.questions.question[asked.wording]],
            _ => learned.target(&self.seen[asked.wording], uniform),
        }
    }

    /// Share of the questions whose wordings do not all have one target.
    fn torn(&self, questions: &[usize], target: impl Fn(usize) -> usize) -> f64 {
        let torn = |question: &&usize| {
            let wordings = &self.questions.of_question[**question];
            let first = target(wordings[0]);
            wordings.iter().any(|&wording| target(wording) != first)
        };
        questions.iter().filter(torn).count() as f64 / questions.len().max(1) as f64
    }

    fn measure(&self, served: &[Served], asked: &[Asked], right: &[usize]) -> Run {
        let n = served.len().max(1) as f64;
        let mut run =
            Run { rates: Rates::of(served, asked, self.wordings, right), ..Run::default() };
        let mut waits: Vec<f64> = Vec::with_capacity(served.len());
        for (place, (served, asked)) in served.iter().zip(asked).enumerate() {
            let question = self.questions.question[asked.wording];
            if served.question == question {
                run.quality += f64::from(self.pool.items[question].quality[served.target]) / n;
            }
            let answer = f64::from(self.trace.answer_tokens(place));
            let prompt = self.questions.texts[asked.wording].len() as f64 / TOKEN_BYTES;
            waits.push(match served.from {
                From::Model => self.models.seconds(served.target, answer),
                From::Exact | From::Semantic | From::False => self.models.hit,
            });
            if served.from == From::Model {
                run.spend += self.models.spend(served.target, prompt, answer) * 1e6 / n;
            }
        }
        waits.sort_by(f64::total_cmp);
        run.seconds = waits.iter().sum::<f64>() / n;
        run.seconds_p95 = waits.get(waits.len() * 95 / 100).copied().unwrap_or_default();
        run
    }
}
