//! An evaluation as one HTML page that needs nothing else.

use std::fmt::Write;

use super::Estimate;
use super::report::EvaluationReport;
use crate::report::Plot;
use crate::report::html::{escape, figure, head, table};

impl EvaluationReport<'_> {
    /// The page.
    pub fn html(&self, plots: &[Plot]) -> String {
        let evaluation = self.evaluation;
        let mut page = head("Pointsman: evaluation");
        let version = escape(&evaluation.policy.model_version);
        let metrics = &evaluation.metrics;
        let _ = write!(
            page,
            "<h1>Model {version}</h1><p>{} labelled rows, threshold {:.3}. Positive class: the \
             strong model is required. Intervals are 95 % bootstrap intervals.</p>",
            metrics.n, evaluation.threshold
        );
        page += "<h2>Against every baseline, on the same rows</h2>";
        page += &self.standings();
        page += "<p class=note>Gain: quality of this model minus the baseline's, on the same \
                 resamples. The cost-matched shuffle calls the strong model as often as this model \
                 does, on rows drawn at random (its mean over all draws): gain over it is what the \
                 model knows. The oracle asks the strong model where, and only where, it is \
                 better.</p><h2>Measures</h2>";
        page += &self.measures();
        plots.iter().for_each(|plot| page += &figure(plot));
        page += "<h2>By source</h2>";
        page += &self.sources();
        page += "</main></body></html>\n";
        page
    }

    fn standings(&self) -> String {
        let policy = &self.evaluation.policy.standing;
        let mut rows = vec![("this model", policy)];
        rows.extend(self.evaluation.baselines.iter().map(|(name, standing)| (*name, standing)));
        let cells = rows.iter().map(|(name, standing)| {
            vec![
                escape(&name.replace('_', " ")),
                format!("{:.1} %", standing.strong_share * 100.0),
                interval(Some(standing.accuracy)),
                interval(Some(standing.quality)),
                interval(standing.gain.map(|gain| gain.quality)),
                interval(standing.auroc),
                interval(standing.apgr),
            ]
        });
        let head = ["policy", "strong calls", "accuracy", "quality", "gain", "AUROC", "APGR"];
        table(&head, cells)
    }

    fn measures(&self) -> String {
        let metrics = &self.evaluation.metrics;
        let share = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let rows = [
            ("accuracy of the majority", Some(metrics.majority_accuracy)),
            ("accuracy", Some(metrics.accuracy)),
            ("balanced accuracy", metrics.balanced_accuracy),
            ("AUROC", metrics.auroc),
            ("AUROC within sources", self.evaluation.auroc_within_source),
            ("APGR", metrics.apgr),
            ("strong calls for 50 % of the gap (CPT50)", metrics.cpt50),
            ("strong calls for 80 % of the gap (CPT80)", metrics.cpt80),
            ("Brier score", Some(metrics.brier)),
            ("expected calibration error", Some(metrics.ece)),
        ];
        let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), share(value)]);
        table(&["measure", "value"], rows)
    }

    fn sources(&self) -> String {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let rows = self.evaluation.by_source.iter().map(|(source, m)| {
            vec![
                escape(if source.is_empty() { "(none)" } else { source }),
                m.n.to_string(),
                format!("{:.3}", m.majority_accuracy),
                format!("{:.3}", m.accuracy),
                number(m.auroc),
                number(m.apgr),
            ]
        });
        table(&["source", "rows", "majority", "accuracy", "AUROC", "APGR"], rows)
    }
}

/// An estimate with its interval, in small print.
pub(super) fn interval(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".to_owned(), |Estimate { value, ci95: [low, high] }| {
        format!("{value:.3} <small>{low:.3} to {high:.3}</small>")
    })
}
