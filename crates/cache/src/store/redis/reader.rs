//! Reads what other replicas write into this one's memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Connection, RedisResult, cmd, pipe};

use super::super::Change;
use super::{Names, PAGE, RedisStore, Server, names_of_all};
use crate::entry::{Entry, vector_of};
use crate::key::Digest128;
use pointsman_core::target::Usage;

/// How long the reader waits for changes at a time, and so how much longer a shutdown may take.
const PAUSE: Duration = Duration::from_millis(500);

/// The entry of a hash, when it is whole.
fn entry_of(mut fields: HashMap<String, Vec<u8>>) -> Option<Entry> {
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
    Change(Change),
    /// The server is gone, or an entry is damaged.
    Failed,
}

impl Reader {
    /// Reads everything and begins to follow. The error is that of the first reading; the reader
    /// tries again until it is dropped.
    pub(crate) fn start(
        server: &Server,
        target: &str,
        heard: impl Fn(News) + Send + 'static,
    ) -> (Self, RedisStore, RedisResult<()>) {
        let names = Names::of(target);
        let store = RedisStore {
            server: server.clone(),
            names: names.clone(),
            connection: None,
            owed: Vec::new(),
        };
        let mut follower = Follower { server: server.clone(), names, heard, last: None };
        let first = follower.connect();
        let (mut connection, result) = match first {
            Ok(connection) => (Some(connection), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let ending = Arc::<AtomicBool>::default();
        let flag = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
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
type Position = (u64, u64);

struct Follower<F> {
    server: Server,
    names: Names,
    heard: F,
    /// The last change that was read; none before everything was.
    last: Option<Position>,
}

impl<F: Fn(News)> Follower<F> {
    /// Reads on for a while. A server that is gone is reported once.
    fn turn(&mut self, connection: &mut Option<Connection>) {
        let result = match connection {
            Some(connection) => self.follow(connection),
            None => match self.connect() {
                Ok(new) => {
                    *connection = Some(new);
                    Ok(())
                }
                Err(_) => {
                    std::thread::sleep(PAUSE);
                    return;
                }
            },
        };
        if result.is_err() {
            *connection = None;
            (self.heard)(News::Failed);
        }
    }

    /// A connection, with everything read that changed meanwhile.
    fn connect(&mut self) -> RedisResult<Connection> {
        let mut connection = self.server.connect()?;
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
        let all = names_of_all(&mut connection, &self.names)?;
        for page in all.chunks(PAGE) {
            self.read(&mut connection, page)?;
        }
        self.last = Some(newest);
        Ok(connection)
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
        let reply: StreamRangeReply = command.query(connection)?;
        Ok(reply.ids.first().map(position_of))
    }

    fn follow(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let (time, number) = self.last.unwrap_or_default();
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(PAGE).arg("BLOCK").arg(PAUSE.as_millis() as u64);
        read.arg("STREAMS").arg(&self.names.changes).arg(format!("{time}-{number}"));
        let reply: Option<StreamReadReply> = read.query(connection)?;
        let changes = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        let (mut last, mut inserted) = (self.last, Vec::new());
        for change in changes {
            let foreign = change.get::<String>("by").is_none_or(|by| by != self.names.own);
            let name = |what: &str| change.get::<String>(what).filter(|_| foreign);
            if let Some(name) = name("insert") {
                inserted.push(name);
            } else if let Some(exact) = name("remove").and_then(|name| self.names.exact(&name)) {
                self.read(connection, &std::mem::take(&mut inserted))?;
                (self.heard)(News::Change(Change::Remove(exact)));
            } else if name("clear").is_some() {
                inserted.clear();
                (self.heard)(News::Change(Change::Clear));
            }
            last = Some(position_of(&change));
        }
        self.read(connection, &inserted)?;
        self.last = last;
        Ok(())
    }

    /// Reads entries by name, those that are still there.
    fn read(&self, connection: &mut Connection, names: &[String]) -> RedisResult<()> {
        let mut request = pipe();
        for name in names {
            request.cmd("HGETALL").arg(name);
        }
        if names.is_empty() {
            return Ok(());
        }
        let found: Vec<HashMap<String, Vec<u8>>> = request.query(connection)?;
        for fields in found.into_iter().filter(|fields| !fields.is_empty()) {
            (self.heard)(match entry_of(fields) {
                Some(entry) => News::Change(Change::Insert(Arc::new(entry))),
                None => News::Failed,
            });
        }
        Ok(())
    }
}

fn position_of(change: &StreamId) -> Position {
    let (time, number) = change.id.split_once('-').unwrap_or((&change.id, "0"));
    (time.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}
