//! What a way to decide spends and gains, from always cheap to always strong.

use super::JudgedRow;

/// Router, net, both.
pub(super) const ROUTES: usize = 3;

/// One row changes hands while a threshold rises.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// The threshold, as log-odds of the judge or the router.
    at: f32,
    row: usize,
    /// Added cost, in costs of a strong request.
    cost: f64,
    /// Whether the row's answer is the strong model's from here on.
    strong: bool,
}

/// Everything that happens while a threshold rises from "always cheap".
#[derive(Clone, Debug)]
pub(super) struct Path {
    changes: Vec<Change>,
    cheap_share: f64,
}

/// The paths of router, net, and both.
pub(super) fn paths(rows: &[&JudgedRow], cheap_share: f64) -> [Path; ROUTES] {
    let each = |change: &dyn Fn(usize, &JudgedRow) -> Vec<Change>| {
        let mut changes: Vec<Change> =
            rows.iter().enumerate().flat_map(|(i, row)| change(i, row)).collect();
        changes.sort_by(|a, b| a.at.total_cmp(&b.at));
        Path { changes, cheap_share }
    };
    let straight = 1.0 - cheap_share;
    let router = each(&|row, it| vec![Change { at: it.router, row, cost: straight, strong: true }]);
    let net = each(&|row, it| vec![Change { at: logit(it.judged), row, cost: 1.0, strong: true }]);
    let Some(forecast) = Forecast::of(rows, cheap_share) else {
        return [router, net.clone(), net];
    };
    let both = each(&|row, it| {
        let (refused, direct) = (logit(it.judged), forecast.direct_from(it.router));
        if direct <= refused {
            return vec![Change { at: direct, row, cost: straight, strong: true }];
        }
        // Refused first; from where it goes straight, the cheap answer is saved.
        vec![
            Change { at: refused, row, cost: 1.0, strong: true },
            Change { at: direct, row, cost: -cheap_share, strong: false },
        ]
    });
    [router, net, both]
}

/// Log-odds of a probability.
pub(super) fn logit(probability: f32) -> f32 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    (probability / (1.0 - probability)).ln()
}

/// What the router's score says of the judge's, without any label: the judge's log-odds are a line
/// over the router's, with residuals.
///
/// Asking the cheap model first costs its price, and saves the strong model's where the answer is
/// kept. So straight is cheaper where the share of refused answers exceeds one minus the cheap
/// model's share of the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    offset: f32,
    slope: f32,
}

impl Forecast {
    /// `None` where the router's score says nothing of the judge's.
    pub(super) fn of(rows: &[&JudgedRow], cheap_share: f64) -> Option<Forecast> {
        let n = rows.len() as f64;
        let points: Vec<(f64, f64)> = rows
            .iter()
            .map(|row| (f64::from(logit(row.router)), f64::from(logit(row.judged))))
            .collect();
        let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let (mut variance, mut covariance) = (0.0, 0.0);
        for point in &points {
            variance += (point.0 - x).powi(2);
            covariance += (point.0 - x) * (point.1 - y);
        }
        let slope = covariance / variance;
        if !(slope.is_finite() && slope > 0.0) {
            return None;
        }
        let mut residuals: Vec<f64> =
            points.iter().map(|point| point.1 - y - slope * (point.0 - x)).collect();
        residuals.sort_by(f64::total_cmp);
        let place = ((1.0 - cheap_share) * (n - 1.0)).round() as usize;
        let quantile = residuals.get(place)?;
        Some(Forecast { offset: (y - slope * x + quantile) as f32, slope: slope as f32 })
    }

    /// The judge's threshold, as log-odds, from which on a prompt with this score of the router goes
    /// straight to the strong model.
    pub(super) fn direct_from(&self, router: f32) -> f32 {
        self.offset + self.slope * logit(router)
    }

    /// The router's score below which prompts go straight, where the judge's threshold is
    /// `accept_below`.
    pub(super) fn route_below(&self, accept_below: f32) -> f32 {
        let logit = (logit(accept_below) - self.offset) / self.slope;
        1.0 / (1.0 + (-logit).exp())
    }
}

impl Path {
    /// Calls `visit` with spending and quality, summed over rows that count `counts[i]` times,
    /// wherever the threshold can stand.
    fn walk(&self, rows: &[&JudgedRow], counts: &[u32], mut visit: impl FnMut(f64, f64)) {
        let weight = |i: usize| f64::from(counts[i]);
        let (mut spent, mut quality) = (0.0, 0.0);
        for (i, row) in rows.iter().enumerate() {
            spent += weight(i) * self.cheap_share;
            quality += weight(i) * f64::from(row.cheap);
        }
        visit(spent, quality);
        for tied in self.changes.chunk_by(|a, b| a.at == b.at) {
            for change in tied {
                spent += weight(change.row) * change.cost;
                if change.strong {
                    let row = rows[change.row];
                    quality += weight(change.row) * (f64::from(row.strong) - f64::from(row.cheap));
                }
            }
            visit(spent, quality);
        }
    }

    /// Mean quality at 0, 10, …, 100 % of the way from always-cheap to always-strong spending;
    /// straight between two thresholds.
    pub(super) fn at_tenths(&self, rows: &[&JudgedRow], counts: &[u32]) -> [f64; 11] {
        let total = f64::from(counts.iter().sum::<u32>());
        let limit = |tenth: usize| {
            total * (self.cheap_share + (1.0 - self.cheap_share) * tenth as f64 / 10.0)
        };
        let (mut found, mut next) = ([f64::NAN; 11], 0);
        let mut last: Option<(f64, f64)> = None;
        self.walk(rows, counts, |spent, quality| {
            while let Some(place) = found.get_mut(next) {
                let wanted = limit(next);
                if spent < wanted - 1e-9 {
                    break;
                }
                *place = match last {
                    Some((before, lower)) if spent > before => {
                        lower + (quality - lower) * ((wanted - before) / (spent - before)).min(1.0)
                    }
                    _ => quality,
                };
                next += 1;
            }
            last = Some((spent, quality));
        });
        // A way that ends before the budget does spends the rest on nothing.
        let end = last.map_or(0.0, |(_, quality)| quality);
        found.map(|quality| if quality.is_nan() { end / total } else { quality / total })
    }

    /// Mean share of the quality gap that is recovered, trapezoid over the tenths; `None` where the
    /// strong model gains nothing.
    pub(super) fn apgr(&self, rows: &[&JudgedRow], counts: &[u32]) -> Option<f64> {
        let total = f64::from(counts.iter().sum::<u32>());
        let mean = |quality: fn(&JudgedRow) -> f32| {
            rows.iter()
                .zip(counts)
                .map(|(row, n)| f64::from(*n) * f64::from(quality(row)))
                .sum::<f64>()
                / total
        };
        let (cheap, strong) = (mean(|row| row.cheap), mean(|row| row.strong));
        if strong <= cheap {
            return None;
        }
        let quality = self.at_tenths(rows, counts);
        let recovered = |quality: f64| (quality - cheap) / (strong - cheap);
        let steps = quality.windows(2).map(|pair| recovered((pair[0] + pair[1]) / 2.0));
        Some(steps.sum::<f64>() / 10.0)
    }
}
