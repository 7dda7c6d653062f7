//! The effective hit rate of per-model caches as a function of how well requests are routed.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

use super::caches::{Asked, From, Served, Wordings, serve};
use super::{Mean, Trace, repeated};

/// What errors a router of a given accuracy makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Errors {
    /// Drawn for each request, as of a random router.
    EachRequest,
    /// Drawn for each wording: a deterministic router that paraphrases confuse.
    EachWording,
    /// Drawn for each question, the same in all its wordings.
    EachQuestion,
}

/// Kinds of error, from the most scattered to the least.
pub const ERRORS: [Errors; 3] = [Errors::EachRequest, Errors::EachWording, Errors::EachQuestion];

/// How the caches' traffic is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheOptions {
    /// Share of the requests whose question was asked before.
    pub repeat_share: f64,
    /// Share of the requests that ask in another wording than the commonest.
    pub paraphrase_share: f64,
    /// Wordings of each question that are made up for rows.
    pub wordings: usize,
    /// Runs with forced accuracies; real policies have those of the levels.
    pub seeds: u64,
    /// Seconds that the traffic takes.
    pub period: f64,
    /// Forced routing accuracies.
    pub accuracies: Vec<f64>,
    /// Share of the questions that belong on the cheap target, where rows do not say.
    pub cheap_share: f64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions {
            repeat_share: 0.7,
            paraphrase_share: 0.5,
            wordings: 4,
            seeds: 20,
            period: 86_400.0,
            accuracies: vec![0.6, 0.65, 0.72, 0.8, 0.85, 0.91, 0.95, 1.0],
            cheap_share: 0.72,
        }
    }
}

/// Shares of the requests of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Requests that went to the target where their question belongs.
    pub accuracy: f64,
    /// Requests answered by a cache.
    pub hit: f64,
    pub exact: f64,
    pub semantic: f64,
    /// Requests answered by a cache with another question's answer.
    pub false_hit: f64,
    /// Requests answered by the cache of the right target, with an answer to their question.
    pub effective: f64,
}

impl Rates {
    /// Counts served requests; `right` is the target where each question belongs.
    pub fn of(served: &[Served], asked: &[Asked], wordings: &Wordings, right: &[usize]) -> Rates {
        let mut counts = [0_usize; 6];
        for (served, asked) in served.iter().zip(asked) {
            let at_home = right[wordings.question[asked.wording]] == served.target;
            let correct = matches!(served.from, From::Exact | From::Semantic);
            let facts = [
                at_home,
                served.from != From::Model,
                served.from == From::Exact,
                served.from == From::Semantic,
                served.from == From::False,
                at_home && correct,
            ];
            counts.iter_mut().zip(facts).for_each(|(count, fact)| *count += usize::from(fact));
        }
        let [accuracy, hit, exact, semantic, false_hit, effective] =
            counts.map(|count| count as f64 / asked.len().max(1) as f64);
        Rates { accuracy, hit, exact, semantic, false_hit, effective }
    }
}

/// One point of the chart: means over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forced {
    pub errors: Errors,
    /// Asked for.
    pub accuracy: f64,
    /// On the requests that came: some questions come more often than others.
    pub achieved: Mean,
    pub hit: Mean,
    pub effective: Mean,
    pub false_hit: Mean,
}

/// What the routing accuracies of the claim buy at another share of repetition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repetition {
    pub repeat_share: f64,
    pub errors: Errors,
    /// Effective hit rate at [`CLAIMED`].
    pub effective: [f64; 2],
    /// Hit rate, of whatever cache with whatever answer, at [`CLAIMED`].
    pub hit: [f64; 2],
}

/// The routing accuracies between which the effective hit rate is claimed to rise by
/// [`CLAIMED_GAIN`].
pub const CLAIMED: [f64; 2] = [0.72, 0.91];
/// See [`CLAIMED`].
pub const CLAIMED_GAIN: f64 = 0.14;
/// Shares of repetition that are tried.
const REPEAT_SHARES: [f64; 4] = [0.3, 0.5, 0.7, 0.9];

/// One traffic behind routers of forced accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compounding {
    /// Where its questions come from.
    pub traffic: &'static str,
    pub questions: usize,
    pub wordings: usize,
    pub requests: usize,
    pub forced: Vec<Forced>,
    pub repetition: Vec<Repetition>,
}

/// All of a traffic's numbers; arguments as [`forced`] has them.
pub fn compounding(
    traffic: &'static str,
    wordings: &Wordings,
    trace: &Trace,
    options: &CacheOptions,
    seconds: [f64; 2],
    right: impl Fn(u64) -> Vec<usize> + Sync,
) -> Compounding {
    let mut repetition = Vec::new();
    for repeat_share in REPEAT_SHARES {
        let options =
            CacheOptions { repeat_share, accuracies: CLAIMED.to_vec(), ..options.clone() };
        let points = forced(wordings, trace, &options, seconds, &right);
        repetition.extend(points.chunks_exact(2).map(|pair| Repetition {
            repeat_share,
            errors: pair[0].errors,
            effective: [pair[0].effective.mean, pair[1].effective.mean],
            hit: [pair[0].hit.mean, pair[1].hit.mean],
        }));
    }
    Compounding {
        traffic,
        questions: wordings.of_question.len(),
        wordings: wordings.question.len(),
        requests: requests(wordings.of_question.len(), options),
        forced: forced(wordings, trace, options, seconds, &right),
        repetition,
    }
}

/// The number of requests with which new questions never run out.
fn requests(questions: usize, options: &CacheOptions) -> usize {
    (questions as f64 * (1.0 - options.repeat_share).recip()) as usize
}

/// Traffic on some questions: as many requests as there are new questions for, at the share of
/// repetition that was asked for.
pub fn asked(
    wordings: &Wordings,
    questions: &[usize],
    trace: &Trace,
    options: &CacheOptions,
    rng: &mut SmallRng,
) -> Vec<Asked> {
    let requests = requests(questions.len(), options);
    let order = repeated(questions, requests, options.repeat_share, rng);
    let times = trace.arrivals(requests, options.period);
    let word = |(question, at): (&usize, f64)| {
        let all = &wordings.of_question[*question];
        let other = all.len() > 1 && rng.random_bool(options.paraphrase_share);
        let place = if other { rng.random_range(1..all.len()) } else { 0 };
        Asked { at, wording: all[place] }
    };
    order.iter().zip(times).map(word).collect()
}

/// The chart's lines: every kind of error at every accuracy. `right` gives the target where each
/// question belongs, for a seed. Errors at a higher accuracy are among those at a lower one.
pub fn forced(
    wordings: &Wordings,
    trace: &Trace,
    options: &CacheOptions,
    seconds: [f64; 2],
    right: &(impl Fn(u64) -> Vec<usize> + Sync),
) -> Vec<Forced> {
    let lines: Vec<(Errors, f64)> = ERRORS
        .iter()
        .flat_map(|&errors| options.accuracies.iter().map(move |&accuracy| (errors, accuracy)))
        .collect();
    let runs: Vec<Vec<Rates>> = (0..options.seeds)
        .into_par_iter()
        .map(|seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut questions: Vec<usize> = (0..wordings.of_question.len()).collect();
            questions.shuffle(&mut rng);
            let asked = asked(wordings, &questions, trace, options, &mut rng);
            let right = right(seed);
            let rates = |&(errors, accuracy): &(Errors, f64)| {
                let route = |place: usize| {
                    let wording = asked[place].wording;
                    let question = wordings.question[wording];
                    let key = match errors {
                        Errors::EachRequest => place,
                        Errors::EachWording => wording,
                        Errors::EachQuestion => question,
                    };
                    let wrong = uniform(seed, key) >= accuracy;
                    if wrong { 1 - right[question] } else { right[question] }
                };
                let served = serve(&asked, wordings, route, |_, target| seconds[target]);
                Rates::of(&served, &asked, wordings, &right)
            };
            lines.iter().map(rates).collect()
        })
        .collect();
    let mean = |line: usize, of: fn(&Rates) -> f64| {
        Mean::of(&runs.iter().map(|run| of(&run[line])).collect::<Vec<f64>>())
    };
    let point = |(line, &(errors, accuracy)): (usize, &(Errors, f64))| Forced {
        errors,
        accuracy,
        achieved: mean(line, |rates| rates.accuracy),
        hit: mean(line, |rates| rates.hit),
        effective: mean(line, |rates| rates.effective),
        false_hit: mean(line, |rates| rates.false_hit),
    };
    lines.iter().enumerate().map(point).collect()
}

/// A number in 0..1 that seed and key decide.
pub fn uniform(seed: u64, key: usize) -> f64 {
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key as u64).random()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Near;

    /// Questions of two wordings that serve each other.
    fn wordings() -> Wordings {
        const QUESTIONS: usize = 400;
        let other = |wording: usize| Near { wording: wording ^ 1, serves: true };
        Wordings {
            question: (0..2 * QUESTIONS).map(|wording| wording / 2).collect(),
            of_question: (0..QUESTIONS).map(|q| vec![2 * q, 2 * q + 1]).collect(),
            key: (0..2 * QUESTIONS).collect(),
            near: (0..2 * QUESTIONS).map(|wording| vec![other(wording)]).collect(),
        }
    }

    fn points() -> Vec<Forced> {
        let trace = Trace::poisson(&mut SmallRng::seed_from_u64(1));
        let options = CacheOptions { seeds: 4, ..CacheOptions::default() };
        forced(&wordings(), &trace, &options, [0.5; 2], &|_| vec![0; 400])
    }

    #[test]
    fn only_errors_that_tear_a_question_apart_dilute_the_caches() {
        let points = points();
        let hit = |errors, accuracy| {
            let found = points.iter().find(|p| p.errors == errors && p.accuracy == accuracy);
            found.unwrap().hit.mean
        };
        let full = hit(Errors::EachRequest, 1.0);
        assert!((0.65..0.75).contains(&full), "{full}");
        // Answers on their way serve their own wording only, and the models' times differ not.
        assert_eq!(hit(Errors::EachQuestion, 0.6), full);
        assert!(hit(Errors::EachWording, 0.6) < full - 0.03);
        assert!(hit(Errors::EachRequest, 0.6) < hit(Errors::EachWording, 0.6) - 0.02);
    }

    #[test]
    fn a_hit_counts_at_the_right_target_only() {
        for point in points() {
            assert!((point.achieved.mean - point.accuracy).abs() < 0.1, "{point:?}");
            let difference = point.hit.mean - point.effective.mean;
            assert!(difference >= 0.0 && point.false_hit.mean == 0.0, "{point:?}");
            if point.accuracy == 1.0 {
                assert_eq!(difference, 0.0);
            } else {
                assert!(difference > 0.01, "{point:?}");
            }
        }
    }
}
