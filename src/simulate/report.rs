//! A study as one HTML page.

use std::fmt::Write;

use serde::Serialize;

use super::{
    Behind, CLAIMED, CacheOptions, Compounding, Drift, Errors, Level, LevelOptions, Mean, Models,
    plots,
};
use pointsman_lab::report::html::{figure, head, table};
use pointsman_lab::report::{Plot, PlotError};

/// Everything that was simulated. It has no text of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// Prompts with the recorded quality of both answers.
    pub prompts: usize,
    pub options: LevelOptions,
    pub levels: Vec<Level>,
    pub cache_options: CacheOptions,
    /// Rows with paraphrases that were made up, then pairs that people wrote.
    pub caches: Vec<Compounding>,
    pub models: Models,
    /// Each policy without and with caches.
    pub behind: Vec<Behind>,
}

impl Study {
    /// All plots that there are numbers for.
    ///
    /// # Errors
    ///
    /// The plotting library refuses the numbers.
    pub fn plots(&self) -> Result<Vec<Plot>, PlotError> {
        plots::all(self)
    }

    /// The page.
    pub fn html(&self, plots: &[Plot]) -> String {
        let mut page = head("Pointsman: simulation");
        let options = &self.options;
        let _ = write!(
            page,
            "<h1>Routing strategies and caches on recorded prompts</h1><p>{} prompts with the \
             recorded quality of a cheap and of a strong model's answer. Reward is quality less λ \
             times cost: λ is {}, the cheap target costs {} of the strong one. Half of the \
             questions are asked, the other half are labelled, so that no classifier is evaluated on \
             what it was trained on. {} runs, each with its own halves and traffic; ± is two \
             standard errors.</p>",
            self.prompts, options.lambda, options.cheap_price, options.seeds
        );
        plots.iter().for_each(|plot| page += &figure(plot));
        page += &self.compounding_section();
        page += &self.behind_section();
        for (drift, title) in [
            (Drift::None, "Every strategy at every level"),
            (options.drift, "The same, with a change in the middle"),
        ] {
            let _ = write!(page, "<h2>{title}</h2>");
            page += &self.level_table(drift);
        }
        page += &self.assumptions();
        page += "</main></body></html>\n";
        page
    }

    fn compounding_section(&self) -> String {
        if self.caches.is_empty() {
            return String::new();
        }
        let rows = self.caches.iter().flat_map(|traffic| {
            traffic.repetition.iter().map(|line| {
                let [low, high] = line.effective;
                let [hit_low, hit_high] = line.hit;
                vec![
                    traffic.traffic.to_owned(),
                    format!("{:.0} %", line.repeat_share * 100.0),
                    by(line.errors).to_owned(),
                    format!("{:.1} → {:.1} %", low * 100.0, high * 100.0),
                    format!("{:+.1}", (high - low) * 100.0),
                    format!("{:+.1}", (hit_high - hit_low) * 100.0),
                ]
            })
        });
        let head = ["traffic", "repeated", "errors by", "effective hits", "points", "of all hits"];
        let sizes: Vec<String> = self
            .caches
            .iter()
            .map(|traffic| {
                format!(
                    "{}: {} questions in {} wordings, {} requests per run",
                    traffic.traffic, traffic.questions, traffic.wordings, traffic.requests
                )
            })
            .collect();
        format!(
            "<h2>From an accuracy of {:.0} % to one of {:.0} %</h2>{}<p class=note>Claimed: \
             14 points. “Of all hits” is what the hit rate itself gains, right target or not: \
             caches are diluted only where one question goes to two targets. The rest of the gain \
             is that a hit in the wrong target's cache does not count. {}.</p>",
            CLAIMED[0] * 100.0,
            CLAIMED[1] * 100.0,
            table(&head, rows),
            sizes.join("; ")
        )
    }

    fn behind_section(&self) -> String {
        let Some(most) = self.behind.first().map(|behind| behind.spend.mean) else {
            return String::new();
        };
        let percent = |mean: Mean| format!("{:.1} %", mean.mean * 100.0);
        let rows = self.behind.iter().map(|behind| {
            let hits = |mean: Mean| if behind.cached { percent(mean) } else { "–".to_owned() };
            vec![
                behind.policy.to_owned(),
                if behind.cached { "yes" } else { "no" }.to_owned(),
                percent(behind.accuracy),
                percent(behind.torn),
                hits(behind.hit),
                hits(behind.effective),
                hits(behind.false_hit),
                format!("{:.3}", behind.quality.mean),
                format!("{:.0}", behind.spend.mean),
                format!("{:.0} %", (1.0 - behind.spend.mean / most.max(f64::MIN_POSITIVE)) * 100.0),
                format!("{:.2}", behind.seconds.mean),
                format!("{:.2}", behind.seconds_p95.mean),
            ]
        });
        let head = [
            "policy",
            "caches",
            "accuracy",
            "torn",
            "hits",
            "effective",
            "false",
            "quality",
            "USD per million",
            "saved",
            "mean s",
            "p95 s",
        ];
        format!(
            "<h2>Real policies, without and with caches</h2>{}<p class=note>Torn: questions whose \
             wordings do not all go to one target. Effective: hits of the right target with an \
             answer to the question. False: hits with another question's answer; their quality is \
             counted as 0.</p>",
            table(&head, rows)
        )
    }

    fn level_table(&self, drift: Drift) -> String {
        let rows = self.levels.iter().filter(|level| level.drift == drift).map(|level| {
            vec![
                level.requests.to_string(),
                level.strategy.to_owned(),
                with_error(level.reward, 4),
                with_error(level.gain, 4),
                with_error(level.accuracy, 3),
                format!("{:.3}", level.quality.mean),
                format!("{:.1} %", level.strong_share.mean * 100.0),
                format!("{:.1} %", level.explored_share * 100.0),
                format!("{:.0}", level.labels),
            ]
        });
        let head = [
            "requests",
            "strategy",
            "reward",
            "above strong",
            "accuracy",
            "quality",
            "strong",
            "explored",
            "labels",
        ];
        table(&head, rows)
    }

    fn assumptions(&self) -> String {
        let LevelOptions { label_share, first_labels, feedback_share, delay, repeat_share, .. } =
            self.options;
        let caches = &self.cache_options;
        let models = &self.models;
        format!(
            "<h2>What is assumed</h2><ul>\
             <li>Arrivals follow the recorded trace, stretched to {:.0} days at every level; {:.0} % \
             of the requests repeat an earlier prompt (Simon's process, so that frequencies follow \
             Zipf's law).</li>\
             <li>{:.1} % of the requests are labelled: the other model answers too, and is paid \
             for. The first training is at {first_labels} labels, then at twice as many, then with \
             every further half of the labelled prompts. Until then the classifier strategies follow \
             the hand rules.</li>\
             <li>{:.0} % of the bandit's decisions get a reward, {delay:.0} seconds later.</li>\
             <li>Behind the caches, {:.0} % of the requests ask a question again, {:.0} % in another \
             wording than the commonest. No public rows have both recorded answers and paraphrases: \
             those of rows are made up by rules (greetings, contractions, some synonyms, \
             capitals), which is kinder to a cache than people are. The pairs are people's, but \
             where each question belongs is drawn ({:.0} % cheap).</li>\
             <li>Prices in USD per million tokens, cheap and strong: {:?} in, {:?} out; seconds \
             to the first token {:?}, tokens per second {:?}. Answer sizes are the trace's, and the \
             same for both models.</li></ul>",
            self.options.period / 86_400.0,
            repeat_share * 100.0,
            label_share * 100.0,
            feedback_share * 100.0,
            caches.repeat_share * 100.0,
            caches.paraphrase_share * 100.0,
            caches.cheap_share * 100.0,
            models.input_price,
            models.output_price,
            models.first_token,
            models.speed,
        )
    }
}

fn by(errors: Errors) -> &'static str {
    match errors {
        Errors::EachRequest => "request",
        Errors::EachWording => "wording",
        Errors::EachQuestion => "question",
    }
}

fn with_error(mean: Mean, digits: usize) -> String {
    format!("{:.digits$} <small>± {:.digits$}</small>", mean.mean, 2.0 * mean.error)
}
