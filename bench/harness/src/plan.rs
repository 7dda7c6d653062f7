//! How long everything is measured.

use crate::results::{Plan, Turns};

/// All variants are measured with this body.
pub const COMMON: usize = 2048;

/// At most 25 minutes.
pub fn full() -> Plan {
    Plan {
        name: "full".to_owned(),
        starts: 3,
        connections: 16,
        full: Turns { count: 7, seconds: 2.0 },
        idle: Turns { count: 5, seconds: 4.0 },
        // 10,000 samples in 20 s, and a few per cent of what any filter here can do.
        idle_rate: 550.0,
        half: Turns { count: 4, seconds: 1.5 },
        sizes: vec![COMMON, 512, 16 * 1024, 128 * 1024],
    }
}

/// Two to three minutes: whether everything runs, and the order of magnitude.
pub fn quick() -> Plan {
    Plan {
        name: "quick".to_owned(),
        starts: 1,
        connections: 16,
        full: Turns { count: 3, seconds: 0.7 },
        idle: Turns { count: 2, seconds: 1.0 },
        idle_rate: 550.0,
        half: Turns { count: 1, seconds: 1.0 },
        sizes: vec![COMMON, 16 * 1024],
    }
}
