//! A policy for tests.

use super::{Component, Context, Explorer, Snapshot};

/// Of two targets always the strong one, except for one draw in ten.
pub fn snapshot() -> Snapshot {
    let context = Context::new(2);
    let mut strong = vec![0.0; context.dimensions()];
    strong[0] = 1.0;
    Snapshot {
        version: "3".into(),
        context_hash: context.hash(),
        targets: vec!["cheap".into(), "strong".into()],
        penalties: vec![0.0; 2],
        explorer: Explorer::EpsilonGreedy { epsilon: 0.2 },
        components: vec![Component {
            version: "3".into(),
            share: 1.0,
            weights: vec![vec![0.0; strong.len()], strong],
            factors: Vec::new(),
        }],
        segments: Vec::new(),
    }
}
