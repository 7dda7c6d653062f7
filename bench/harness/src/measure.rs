//! The measurement: variants in turns, so that whatever else the machine does meets all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::load::bodies;
use crate::load::client::{Arrivals, Client, Outcome};
use crate::processes::own_cpu;
use crate::results::{AtSize, Full, Load, Open, Plan, Turn};
use crate::stats::{Latency, Spread, median};
use crate::system::System;
use crate::variants::REFERENCE;

/// Each turn begins with this long a closed loop, which is not counted: the turn before has filled the
/// processor's caches with another variant's code.
const WARM_UP: Duration = Duration::from_millis(150);

/// All turns of a run.
pub struct Measurement<'s> {
    plan: &'s Plan,
    pub turns: Vec<Turn>,
    systems: &'s [System],
}

/// A variant's turns at one load, and no filter's next to them.
#[derive(Default)]
struct Pooled {
    micros: Vec<f64>,
    reference: Vec<f64>,
    offered: f64,
}

impl<'s> Measurement<'s> {
    /// `systems` begin with the reference.
    pub fn new(plan: &'s Plan, systems: &'s [System]) -> Self {
        Self { plan, turns: Vec::new(), systems }
    }

    /// Measures a size of body, and returns what was found of each variant.
    pub fn at(&mut self, body_bytes: usize) -> Result<BTreeMap<&'static str, AtSize>> {
        let requests = bodies::requests(body_bytes);
        let common = self.plan.sizes.first() == Some(&body_bytes);
        let systems: Vec<&System> =
            self.systems.iter().filter(|it| common || it.variant.all_sizes).collect();
        let mut found = self.full(&systems, body_bytes, &requests)?;
        let capacity: BTreeMap<&str, f64> =
            found.iter().map(|(name, at)| (*name, at.full.rate.median)).collect();
        for load in [Load::Idle, Load::Half] {
            let offered = |name: &str| {
                let half = capacity.get(name).copied().unwrap_or_default() / 2.0;
                // Idle is far from full for slow variants, too.
                if load == Load::Idle { self.plan.idle_rate.min(half / 4.0) } else { half }
            };
            let rates: BTreeMap<&str, f64> =
                systems.iter().map(|it| (it.variant.name, offered(it.variant.name))).collect();
            let pooled = self.open(&systems, body_bytes, &requests, load, &rates)?;
            for (name, open) in pooled {
                let at = found.get_mut(name).context("measured before")?;
                *(if load == Load::Idle { &mut at.idle } else { &mut at.half }) = Some(open);
            }
        }
        Ok(found)
    }

    /// As many requests as it takes.
    fn full(
        &mut self,
        systems: &[&'s System],
        body_bytes: usize,
        requests: &[Vec<u8>],
    ) -> Result<BTreeMap<&'static str, AtSize>> {
        let plan = self.plan.full;
        let arrivals = Arrivals::Closed(Duration::from_secs_f64(plan.seconds));
        let mut micros: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..plan.count {
            for system in shuffled(systems, round) {
                let what = Turn::planned(system, body_bytes, Load::Full, round, None);
                let (turn, taken) = self.turn(system, requests, &arrivals, what)?;
                micros.entry(system.variant.name).or_default().extend(taken);
                self.turns.push(turn);
            }
        }
        let own = |name: &str| -> Vec<&Turn> {
            let is_own = |it: &&Turn| {
                it.variant == name && it.body_bytes == body_bytes && it.load == Load::Full
            };
            self.turns.iter().filter(is_own).collect()
        };
        let rates = |turns: &[&Turn]| -> Vec<f64> { turns.iter().map(|it| it.rate()).collect() };
        let reference = rates(&own(REFERENCE));
        let mut found = BTreeMap::new();
        for system in systems {
            let name = system.variant.name;
            let turns = own(name);
            let rates = rates(&turns);
            let ratios: Vec<f64> = rates.iter().zip(&reference).map(|(a, b)| a / b).collect();
            let per_request = |cpu: fn(&Turn) -> f64| {
                median(
                    &turns
                        .iter()
                        .map(|it| cpu(it) * 1e6 / it.requests.max(1) as f64)
                        .collect::<Vec<_>>(),
                )
            };
            let busy: Vec<f64> = turns.iter().map(|it| it.envoy_cpu / it.seconds).collect();
            let full = Full {
                rate: Spread::of(&rates).context("no turn")?,
                kept: Spread::of(&ratios),
                envoy_cpu: per_request(|it| it.envoy_cpu),
                sidecar_cpu: per_request(|it| it.sidecar_cpu),
                client_cpu: per_request(|it| it.client_cpu),
                envoy_busy: median(&busy),
                latency: Latency::of(micros.remove(name).unwrap_or_default()),
            };
            found.insert(name, AtSize { body_bytes, full, idle: None, half: None });
        }
        Ok(found)
    }

    /// Requests that come when they come: each variant and the reference in turns, at the same rate.
    fn open(
        &mut self,
        systems: &[&'s System],
        body_bytes: usize,
        requests: &[Vec<u8>],
        load: Load,
        rates: &BTreeMap<&str, f64>,
    ) -> Result<BTreeMap<&'static str, Open>> {
        let plan = if load == Load::Idle { self.plan.idle } else { self.plan.half };
        let lasts = Duration::from_secs_f64(plan.seconds);
        let reference = systems.first().context("the reference is the first")?;
        let mut pooled: BTreeMap<&'static str, Pooled> = BTreeMap::new();
        let first = self.turns.len();
        for round in 0..plan.count {
            // The reference is measured right before a variant, but once is enough for each rate.
            let mut plain: Vec<(f64, Vec<f64>)> = Vec::new();
            for system in shuffled(systems, round) {
                let name = system.variant.name;
                let rate = rates.get(name).copied().context("a rate for each variant")?;
                let arrivals = Arrivals::poisson(rate, lasts, round as u64);
                let known = plain.iter().position(|(known, _)| *known == rate);
                let at = known.unwrap_or(plain.len());
                if known.is_none() {
                    let what = Turn::planned(reference, body_bytes, load, round, Some(rate));
                    let (turn, micros) = self.turn(reference, requests, &arrivals, what)?;
                    self.turns.push(turn);
                    plain.push((rate, micros));
                }
                let pool = pooled.entry(name).or_default();
                pool.offered = rate;
                pool.reference.extend(&plain[at].1);
                if name == REFERENCE {
                    pool.micros.extend(&plain[at].1);
                    continue;
                }
                let what = Turn::planned(system, body_bytes, load, round, Some(rate));
                let (turn, micros) = self.turn(system, requests, &arrivals, what)?;
                pool.micros.extend(micros);
                self.turns.push(turn);
            }
        }
        let turns = self.turns.get(first..).unwrap_or_default();
        let cpu = |name: &str, offered: f64| -> f64 {
            let own = |it: &&Turn| it.variant == name && it.offered == Some(offered);
            let (spent, requests) =
                turns.iter().filter(own).fold((0.0, 0), |(spent, count), it| {
                    (spent + it.envoy_cpu + it.sidecar_cpu, count + it.requests)
                });
            spent * 1e6 / requests.max(1) as f64
        };
        Ok(pooled
            .into_iter()
            .map(|(name, Pooled { micros, reference, offered })| {
                let (latency, reference) = (Latency::of(micros), Latency::of(reference));
                (name, Open { offered, latency, reference, cpu: cpu(name, offered) })
            })
            .collect())
    }

    /// One turn over connections of its own, on the client's processor.
    fn turn(
        &self,
        system: &System,
        requests: &[Vec<u8>],
        arrivals: &Arrivals,
        mut turn: Turn,
    ) -> Result<(Turn, Vec<f64>)> {
        let connections = self.plan.connections;
        let measured = std::thread::scope(|scope| {
            let client = scope.spawn(|| -> Result<_> {
                crate::load::settle()?;
                let mut client = Client::open(system.address, connections, requests)?;
                client.run(&Arrivals::Closed(WARM_UP))?;
                let (before, own) = (system.cpu()?, own_cpu()?);
                let outcome = client.run(arrivals)?;
                let after = system.cpu()?;
                let spent = [0, 1].map(|at: usize| (after[at] - before[at]).as_secs_f64());
                Ok((outcome, spent, (own_cpu()? - own).as_secs_f64()))
            });
            client.join().map_err(|_| anyhow::anyhow!("the client panicked"))?
        });
        let (Outcome { micros, lasted }, [envoy, sidecar], client) =
            measured.with_context(|| format!("{} at {} bytes", turn.variant, turn.body_bytes))?;
        turn.requests = micros.len();
        turn.seconds = lasted.as_secs_f64();
        (turn.envoy_cpu, turn.sidecar_cpu, turn.client_cpu) = (envoy, sidecar, client);
        turn.latency = Latency::of(micros.clone());
        Ok((turn, micros))
    }
}

impl Turn {
    fn planned(
        system: &System,
        body_bytes: usize,
        load: Load,
        round: usize,
        offered: Option<f64>,
    ) -> Self {
        Self {
            variant: system.variant.name.to_owned(),
            body_bytes,
            load,
            round,
            offered,
            requests: 0,
            seconds: 0.0,
            envoy_cpu: 0.0,
            sidecar_cpu: 0.0,
            client_cpu: 0.0,
            latency: Latency { samples: 0, p50: None, p99: None, p999: None },
        }
    }

    /// Requests per second.
    fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Another order in each round: none always has the same one before it.
fn shuffled<'s>(systems: &[&'s System], round: usize) -> Vec<&'s System> {
    let mut order = systems.to_vec();
    order.shuffle(&mut SmallRng::seed_from_u64(round as u64));
    order
}
