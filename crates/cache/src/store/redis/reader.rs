//! Reads what other replicas write into this one's memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rayon::prelude::*;
use redis::{Connection, RedisResult, Value, cmd, from_redis_value, pipe};

use super::super::{Change, Desk};
use super::{Names, PAGE, RedisStore, Server, page_of_names};
use crate::entry::{Entry, vector_of};
use crate::key::Digest128;
use pointsman_core::target::Usage;

/// How long the reader waits for changes at a time, and so how much longer a shutdown may take; also
/// how long it rests after a first failure.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it rests at most, after one failure upon another.
const LONGEST_REST: Duration = Duration::from_secs(4);
/// Entries of one round trip where all are read, and round trips ahead of what is taken over.
const READ_AT_ONCE: usize = 1024;
const AHEAD: usize = 4;
/// How soon an entry that is asked for is looked up meanwhile.
const GLANCE: Duration = Duration::from_millis(2);
/// How soon a rest notices a shutdown.
const NAP: Duration = Duration::from_millis(50);

/// The entry of a hash, when it is whole.
pub fn entry_of(mut fields: HashMap<String, Vec<u8>>) -> Option<Entry> {
    fn digest(fields: &HashMap<String, Vec<u8>>, name: &str) -> Option<Digest128> {
        fields.get(name)?.as_slice().try_into().ok().map(Digest128)
    }
    fn number(fields: &HashMap<String, Vec<u8>>, name: &str) -> Option<u64> {
        str::from_utf8(fields.get(name)?).ok()?.parse().ok()
    }
    let mut text = |name: &str| String::from_utf8(fields.remove(name)?).ok();
    let (question, content_type) = (text("question"), text("content_type")?);
    let usage = match (number(&fields, "input"), number(&fields, "output")) {
        (Some(input), Some(output)) => Some(Usage { input, output }),
        _ => None,
    };
    let entry = Entry {
        exact: digest(&fields, "exact")?,
        partition: digest(&fields, "partition")?,
        question: question.map(Into::into),
        vector: fields.get("vector").map(|bytes| vector_of(bytes)),
        content_type: content_type.into(),
        created_ms: number(&fields, "created")?,
        expires_ms: number(&fields, "expires")?,
        usage,
        body: Bytes::from(fields.remove("body")?),
    };
    (entry.checksum() == digest(&fields, "checksum")?).then_some(entry)
}

/// Reads what the server holds, and from then on what other replicas change.
pub(crate) struct Reader {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a reader reports.
pub(crate) enum News {
    /// All entries are read: what stands before them, and what behind the last one, or where it
    /// broke off.
    Begin,
    End,
    Restored(Arc<Entry>),
    Change(Change),
    /// The server is gone, or an entry or a change cannot be read.
    Failed,
}

impl Reader {
    /// Begins to read everything, then to follow. The error is that of the first connection; the
    /// reader tries again until it is dropped. Until everything was read, or failed to be, it looks
    /// up what is asked for at the desk.
    pub(crate) fn start(
        server: &Server,
        target: &str,
        desk: Desk,
        heard: impl Fn(News) + Send + 'static,
    ) -> (Self, RedisStore, RedisResult<()>) {
        let names = Names::of(target);
        let store = server.store_as(names.clone());
        let ending = Arc::<AtomicBool>::default();
        let (first, result) = match server.connect() {
            Ok(connection) => (Some(connection), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let mut follower = Follower {
            server: server.clone(),
            names,
            heard,
            last: None,
            rest: PAUSE,
            ending: Arc::clone(&ending),
            desk: result.is_ok().then_some(desk),
        };
        if first.is_some() {
            // Before anybody is served.
            (follower.heard)(News::Begin);
        }
        let thread = std::thread::spawn(move || {
            let mut connection = first.and_then(|connection| follower.begin(connection));
            while !follower.ending.load(Ordering::Relaxed) {
                follower.turn(&mut connection);
            }
        });
        (Reader { ending, thread: Some(thread) }, store, result)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A position in a stream.
pub type Position = (u64, u64);

struct Follower<F> {
    server: Server,
    names: Names,
    heard: F,
    /// The last change that was read; none before everything was.
    last: Option<Position>,
    /// How long the next failure makes it rest.
    rest: Duration,
    ending: Arc<AtomicBool>,
    /// While everything is read for the first time.
    desk: Option<Desk>,
}

impl<F: Fn(News)> Follower<F> {
    /// Reads on for a while. A server that is gone is reported once.
    fn turn(&mut self, connection: &mut Option<Connection>) {
        let result = match connection {
            Some(connection) => self.follow(connection).map(|()| self.rest = PAUSE),
            None => self.connect().map(|new| *connection = Some(new)),
        };
        if result.is_err() {
            if connection.take().is_some() {
                (self.heard)(News::Failed);
            }
            let until = Instant::now() + self.rest;
            while Instant::now() < until && !self.ending.load(Ordering::Relaxed) {
                std::thread::sleep(NAP);
            }
            self.rest = LONGEST_REST.min(2 * self.rest);
        }
    }

    /// Reads everything from the first connection; `None` when it fails.
    fn begin(&mut self, connection: Connection) -> Option<Connection> {
        let caught_up = self.catch_up(connection);
        self.desk = None;
        if caught_up.is_err() {
            (self.heard)(News::Failed);
        }
        caught_up.ok()
    }

    fn connect(&mut self) -> RedisResult<Connection> {
        let connection = self.server.connect()?;
        self.catch_up(connection)
    }

    /// A connection, with everything read that changed meanwhile.
    fn catch_up(&mut self, mut connection: Connection) -> RedisResult<Connection> {
        // Before the entries are read, so that what changes meanwhile is read again, not missed.
        let newest = self.end(&mut connection, "XREVRANGE", ["+", "-"])?.unwrap_or_default();
        let oldest = self.end(&mut connection, "XRANGE", ["-", "+"])?.unwrap_or_default();
        match self.last {
            // Nothing was missed.
            Some(last) if oldest <= last && last <= newest => return Ok(connection),
            // The server lost its data, as after a restart without a file: our entries are still valid.
            Some(last) if newest < last => {}
            // Changes were missed, and removals may be among them.
            Some(_) => (self.heard)(News::Change(Change::Clear)),
            None => {}
        }
        (self.heard)(News::Begin);
        let read = self.read_all(&mut connection);
        (self.heard)(News::End);
        read?;
        self.last = Some(newest);
        Ok(connection)
    }

    /// Reads all entries: a thread of its own asks for the next ones while these are taken over.
    fn read_all(&self, connection: &mut Connection) -> RedisResult<()> {
        let (pages, fetched) = sync_channel(AHEAD);
        let (server, names) = (self.server.clone(), self.names.clone());
        let ending = Arc::clone(&self.ending);
        let fetch = move || -> RedisResult<()> {
            let (mut connection, mut cursor) = (server.connect()?, 0);
            loop {
                let (next, found) = page_of_names(&mut connection, &names, cursor)?;
                for page in found.chunks(READ_AT_ONCE) {
                    let page = fetch(&mut connection, page)?;
                    if ending.load(Ordering::Relaxed) || pages.send(page).is_err() {
                        return Ok(());
                    }
                }
                if next == 0 {
                    return Ok(());
                }
                cursor = next;
            }
        };
        let thread = std::thread::spawn(fetch);
        loop {
            match fetched.recv_timeout(GLANCE) {
                Ok(page) => {
                    for found in entries_of(page) {
                        (self.heard)(found.map_or(News::Failed, News::Restored));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_up(connection);
        }
        let broken = || Err((redis::ErrorKind::Io, "the reader broke off").into());
        thread.join().unwrap_or_else(|_| broken())
    }

    /// Looks up what is asked for meanwhile.
    fn look_up(&self, connection: &mut Connection) {
        let Some(desk) = &self.desk else { return };
        desk.serve(|exact| {
            let name = self.names.entry(exact);
            let found = entries_of(fetch(connection, &[name]).ok()?).pop()??;
            Some(Arc::unwrap_or_clone(found))
        });
    }

    /// The position of the first entry of a range.
    fn end(
        &self,
        connection: &mut Connection,
        command: &str,
        range: [&str; 2],
    ) -> RedisResult<Option<Position>> {
        let mut command = cmd(command);
        command.arg(&self.names.changes).arg(&range).arg("COUNT").arg(1);
        let reply: Value = command.query(connection)?;
        Ok(changes(reply).first().map(|change| change.at))
    }

    fn follow(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let (time, number) = self.last.unwrap_or_default();
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(PAGE).arg("BLOCK").arg(PAUSE.as_millis() as u64);
        read.arg("STREAMS").arg(&self.names.changes).arg(format!("{time}-{number}"));
        let reply: Value = read.query(connection)?;
        let (mut last, mut inserted) = (self.last, Vec::new());
        for change in of_streams(reply) {
            last = Some(change.at);
            if change.fields.get("by") == Some(&self.names.own) {
                continue;
            }
            if let Some(name) = change.fields.get("insert") {
                inserted.push(name.clone());
            } else if let Some(exact) = change.fields.get("remove").map(|it| self.names.exact(it)) {
                self.read(connection, &std::mem::take(&mut inserted))?;
                let removed = exact.map(|exact| News::Change(Change::Remove(exact)));
                (self.heard)(removed.unwrap_or(News::Failed));
            } else if change.fields.contains_key("clear") {
                inserted.clear();
                (self.heard)(News::Change(Change::Clear));
            } else {
                (self.heard)(News::Failed);
            }
        }
        self.read(connection, &inserted)?;
        self.last = last;
        Ok(())
    }

    /// Takes over what others inserted, as far as it is still there.
    fn read(&self, connection: &mut Connection, names: &[String]) -> RedisResult<()> {
        for found in entries_of(fetch(connection, names)?) {
            let inserted = found.map(|entry| News::Change(Change::Insert(entry)));
            (self.heard)(inserted.unwrap_or(News::Failed));
        }
        Ok(())
    }
}

/// What the server has under these names.
fn fetch(connection: &mut Connection, names: &[String]) -> RedisResult<Vec<Value>> {
    let mut request = pipe();
    request.ignore_errors();
    for name in names {
        request.cmd("HGETALL").arg(name);
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<Value> = request.query(connection)?;
    // Whatever else the server refuses, as while it loads its data, it may give later.
    let refused = found.iter().find_map(|value| match value {
        Value::ServerError(error) if error.code() != "WRONGTYPE" => Some(error.clone()),
        _ => None,
    });
    refused.map_or(Ok(found), |error| Err(error.into()))
}

/// Those of them that are still there; `None` stands for one that cannot be read, which costs
/// nothing else.
fn entries_of(found: Vec<Value>) -> Vec<Option<Arc<Entry>>> {
    let entry = |value: Value| {
        let fields = from_redis_value::<HashMap<String, Vec<u8>>>(value);
        if fields.as_ref().is_ok_and(HashMap::is_empty) {
            return None;
        }
        Some(fields.ok().and_then(entry_of).map(Arc::new))
    };
    found.into_par_iter().filter_map(entry).collect()
}

/// An element of the stream. What cannot be read has no fields, but its place in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub at: Position,
    pub fields: HashMap<String, String>,
}

/// The changes in the reply to XREAD, of all its streams. Anybody with the server's password may
/// write to them.
pub fn of_streams(reply: Value) -> impl Iterator<Item = Announced> {
    let streams = if let Value::Array(streams) = reply { streams } else { Vec::new() };
    streams.into_iter().flat_map(|stream| match stream {
        Value::Array(mut parts) => parts.pop().map(changes).unwrap_or_default(),
        _ => Vec::new(),
    })
}

/// The changes in the reply to XRANGE, or of one stream.
fn changes(reply: Value) -> Vec<Announced> {
    let Value::Array(elements) = reply else { return Vec::new() };
    let change = |element: Value| {
        let Value::Array(parts) = element else { return None };
        let mut parts = parts.into_iter();
        let at = position_of(&from_redis_value::<String>(parts.next()?).ok()?)?;
        let fields = parts.next().and_then(|fields| from_redis_value(fields).ok());
        Some(Announced { at, fields: fields.unwrap_or_default() })
    };
    elements.into_iter().filter_map(change).collect()
}

fn position_of(id: &str) -> Option<Position> {
    let (time, number) = id.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}
