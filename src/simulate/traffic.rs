//! When requests come, and which of them repeat an earlier one.

use std::path::Path;

use rand::Rng;
use rand::rngs::SmallRng;

use pointsman_lab::files::Lines;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Seconds from the start.
    pub at: f64,
    /// Position of its prompt in the pool.
    pub item: usize,
}

/// Repetition as Simon's process has it (Simon 1955, doi:10.1093/biomet/42.3-4.425): with
/// probability `repeat` the prompt of a uniformly chosen earlier request, otherwise the next of
/// `fresh`. The frequencies of prompts then follow Zipf's law, as those of real queries do.
///
/// `fresh` starts again at its end. Empty without fresh prompts.
pub fn repeated(fresh: &[usize], requests: usize, repeat: f64, rng: &mut SmallRng) -> Vec<usize> {
    let mut order = fresh.iter().copied().cycle();
    let mut prompts = Vec::with_capacity(requests);
    while prompts.len() < requests {
        let again = !prompts.is_empty() && rng.random_bool(repeat);
        let next = match again {
            true => prompts.get(rng.random_range(0..prompts.len())).copied(),
            false => order.next(),
        };
        let Some(next) = next else { break };
        prompts.push(next);
    }
    prompts
}

/// A recorded arrival process with the sizes of its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Seconds between one request and the next.
    gaps: Vec<f64>,
    /// Tokens of each answer.
    generated: Vec<u32>,
}

/// Why a trace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("{file}: {error}")]
    Io { file: String, error: std::io::Error },
    #[error("{file}:{line}: not `timestamp,context tokens,generated tokens`")]
    Line { file: String, line: usize },
    #[error("{0}: fewer than two requests")]
    Short(String),
}

impl Trace {
    /// Reads a CSV of the Azure LLM inference traces (arXiv 2311.18677), plain or gzipped:
    /// `TIMESTAMP,ContextTokens,GeneratedTokens` with a head line.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or are not such a trace.
    pub fn read(path: &Path) -> Result<Trace, TraceError> {
        let file = path.display().to_string();
        let io = |error| TraceError::Io { file: file.clone(), error };
        let mut lines = Lines::of_text(path).map_err(io)?;
        let (mut times, mut generated) = (Vec::new(), Vec::new());
        while let Some((number, line, _)) = lines.next_line().map_err(io)? {
            if number == 1 {
                continue;
            }
            let read = std::str::from_utf8(line).ok().and_then(request);
            let (at, tokens) =
                read.ok_or_else(|| TraceError::Line { file: file.clone(), line: number })?;
            times.push(at);
            generated.push(tokens);
        }
        // A clock that starts again is past midnight.
        let gap = |pair: &[f64]| (pair[1] - pair[0]).rem_euclid(86_400.0);
        let gaps: Vec<f64> = times.windows(2).map(gap).collect();
        match gaps.iter().sum::<f64>() > 0.0 {
            true => Ok(Trace { gaps, generated }),
            false => Err(TraceError::Short(file)),
        }
    }

    /// Independent arrivals at a constant rate, and answers of exponentially distributed size.
    pub fn poisson(rng: &mut SmallRng) -> Trace {
        const REQUESTS: usize = 10_000;
        const MEAN_TOKENS: f64 = 200.0;
        let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
        let gaps = (0..REQUESTS).map(|_| exponential()).collect();
        let generated = (0..REQUESTS).map(|_| (exponential() * MEAN_TOKENS) as u32 + 1).collect();
        Trace { gaps, generated }
    }

    /// Seconds of arrival of `requests` requests within `period` seconds: the recorded gaps one
    /// after the other, from the beginning again at their end, all by one factor.
    pub fn arrivals(&self, requests: usize, period: f64) -> Vec<f64> {
        let mut at = 0.0;
        let gaps = self.gaps.iter().cycle().take(requests);
        let mut times: Vec<f64> = gaps
            .map(|gap| {
                at += gap;
                at
            })
            .collect();
        let factor = if at > 0.0 { period / at } else { 1.0 };
        times.iter_mut().for_each(|time| *time *= factor);
        times
    }

    /// Mean tokens of an answer.
    pub fn mean_answer_tokens(&self) -> f64 {
        let sum: f64 = self.generated.iter().map(|tokens| f64::from(*tokens)).sum();
        sum / self.generated.len().max(1) as f64
    }

    /// Tokens of the answer to the request at some place in the traffic.
    pub fn answer_tokens(&self, place: usize) -> u32 {
        self.generated[place % self.generated.len()]
    }
}

/// Seconds of the day and generated tokens of a line.
fn request(line: &str) -> Option<(f64, u32)> {
    let mut columns = line.trim().split(',');
    let (_, clock) = columns.next()?.split_once(' ')?;
    let tokens = columns.nth(1)?.parse().ok()?;
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some((hours * 3600.0 + minutes * 60.0 + seconds, tokens))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn repetition_has_the_share_asked_for_and_a_heavy_tail() {
        let fresh: Vec<usize> = (0..20_000).collect();
        let prompts = repeated(&fresh, 40_000, 0.6, &mut SmallRng::seed_from_u64(1));
        let mut counts = vec![0_usize; 20_000];
        prompts.iter().for_each(|&prompt| counts[prompt] += 1);
        let distinct = counts.iter().filter(|count| **count > 0).count();
        assert!((15_500..16_500).contains(&distinct), "{distinct}");
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        assert!(counts[0] > 100 && counts[0] > 5 * counts[20], "{:?}", &counts[..30]);
    }

    #[test]
    fn recorded_gaps_fill_the_period_and_keep_their_proportions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.csv");
        let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                   2023-11-16 23:59:58.5000000,374,44\n2023-11-16 23:59:59.5,396,109\n\
                   2023-11-17 00:00:02.5,879,55\n";
        std::fs::write(&path, csv).unwrap();
        let trace = Trace::read(&path).unwrap();
        assert_eq!(trace.arrivals(4, 80.0), [10.0, 40.0, 50.0, 80.0]);
        assert_eq!((trace.answer_tokens(1), trace.answer_tokens(5)), (109, 55));
        std::fs::write(&path, "head\nyesterday,1,2\n").unwrap();
        let error = Trace::read(&path).unwrap_err().to_string();
        assert!(error.contains("trace.csv:2: not"), "{error}");
    }
}
