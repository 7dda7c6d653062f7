//! The client: a closed loop, and an open one that keeps its schedule whatever the server does.
//!
//! In the open loop a request has a time at which it is due, and its latency counts from there, even
//! when no connection was free then. A stall is so felt by every request that was due while it
//! lasted (no coordinated omission).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::wire::{Got, Wire};
use crate::http;

/// When requests are due.
pub enum Arrivals {
    /// Each connection sends its next request as soon as it has its answer, this long.
    Closed(Duration),
    /// At these times after the start.
    Open(Vec<Duration>),
}

impl Arrivals {
    /// Poisson arrivals: independent clients, so that requests also come in bunches.
    pub fn poisson(per_second: f64, lasts: Duration, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut at, mut times) = (0.0, Vec::new());
        loop {
            at += -(1.0 - random.random::<f64>()).ln() / per_second;
            if at >= lasts.as_secs_f64() {
                return Self::Open(times);
            }
            times.push(Duration::from_secs_f64(at));
        }
    }
}

/// What came of it.
pub struct Outcome {
    /// Microseconds from when a request was due to its whole answer.
    pub micros: Vec<f64>,
    pub lasted: Duration,
}

struct Connection {
    wire: Wire,
    /// Position of the request under way, how much of it was sent, and when it was due.
    busy: Option<(usize, usize, Instant)>,
}

/// Connections to one address.
pub struct Client<'r> {
    requests: &'r [Vec<u8>],
    connections: Vec<Connection>,
    poll: OwnedFd,
    scratch: Vec<u8>,
    next: usize,
}

impl<'r> Client<'r> {
    pub fn open(to: SocketAddr, connections: usize, requests: &'r [Vec<u8>]) -> Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let connections = (0..connections)
            .map(|at| {
                let wire = Wire::open(to)?;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                epoll::add(&poll, &wire, EventData::new_u64(at as u64), flags)?;
                Ok(Connection { wire, busy: None })
            })
            .collect::<Result<_>>()?;
        Ok(Self { requests, connections, poll, scratch: vec![0; 64 * 1024], next: 0 })
    }

    /// Sends requests as they are due, and waits for all answers.
    ///
    /// # Errors
    ///
    /// An answer with a status other than 200, or a connection that ends.
    pub fn run(&mut self, arrivals: &Arrivals) -> Result<Outcome> {
        let begun = Instant::now();
        let mut micros = Vec::new();
        let mut idle: Vec<usize> = (0..self.connections.len()).collect();
        let mut due: VecDeque<Instant> = VecDeque::new();
        let mut times: VecDeque<Instant> = VecDeque::new();
        let over = match arrivals {
            Arrivals::Closed(lasts) => begun + *lasts,
            Arrivals::Open(after) => {
                times = after.iter().map(|after| begun + *after).collect();
                begun
            }
        };
        let closed = matches!(arrivals, Arrivals::Closed(_));
        let mut events = Vec::with_capacity(256);
        loop {
            let now = Instant::now();
            while times.front().is_some_and(|time| *time <= now) {
                due.extend(times.pop_front());
            }
            while let Some(at) = idle.pop() {
                let time = if closed && now < over { Some(now) } else { due.pop_front() };
                let Some(time) = time else {
                    idle.push(at);
                    break;
                };
                self.send(at, time)?;
            }
            let waits = self.connections.len() - idle.len();
            if waits == 0 && times.is_empty() && due.is_empty() && (!closed || now >= over) {
                return Ok(Outcome { micros, lasted: begun.elapsed() });
            }
            let timeout = times.front().map(|time| {
                let left = time.saturating_duration_since(Instant::now());
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
            });
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref())?;
            for event in &events {
                let at = usize::try_from(event.data.u64())?;
                if let Some(due) = self.advance(at)? {
                    micros.push(due.elapsed().as_secs_f64() * 1e6);
                    idle.push(at);
                }
            }
        }
    }

    fn send(&mut self, at: usize, due: Instant) -> Result<()> {
        let request = self.next % self.requests.len();
        self.next += 1;
        let connection = &mut self.connections[at];
        let sent = connection.wire.write(&self.requests[request])?;
        connection.busy = Some((request, sent, due));
        Ok(())
    }

    /// Writes and reads on; when the answer is complete, returns when its request was due.
    fn advance(&mut self, at: usize) -> Result<Option<Instant>> {
        let connection = &mut self.connections[at];
        let Some((request, sent, due)) = connection.busy else { return Ok(None) };
        let rest = &self.requests[request][sent..];
        if !rest.is_empty() {
            let sent = sent + connection.wire.write(rest)?;
            connection.busy = Some((request, sent, due));
        }
        match connection.wire.read(&mut self.scratch)? {
            Got::Part => Ok(None),
            Got::End => anyhow::bail!("a connection ended while a request was under way"),
            Got::Message(_) => {
                let status = http::status(&connection.wire.bytes).context("no status line")?;
                ensure!(status == 200, "status {status}");
                connection.wire.clear();
                connection.busy = None;
                Ok(Some(due))
            }
        }
    }
}
