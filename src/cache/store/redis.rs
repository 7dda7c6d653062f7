//! Entries in a Redis or Valkey, shared by replicas.
//!
//! ```text
//! a replica's change ─► hash of the entry, with its end ┐ one transaction
//!                   └─► stream of changes               ┘
//! every replica ◄─ the others' changes, read from the stream into its own memory
//! ```
//!
//! Every replica looks into its own memory only, so the server is on no request's way, and its end
//! costs what others answer meanwhile, no more. It removes what has expired by itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Client, Connection, Pipeline, RedisResult, cmd, pipe};

use super::super::entry::{Entry, vector_of};
use super::super::key::{Digest128, ExactKey};
use super::{Change, QUEUE, Store};
use crate::usage::Usage;

/// A server that does not answer for so long is taken for gone.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long the reader waits for changes at a time: what the end of the process may take longer.
const PAUSE: Duration = Duration::from_millis(500);
/// Changes that the stream holds, roughly. Who was away for more reads everything again.
const STREAM: usize = 100_000;
/// Entries, or changes, of one round trip.
const PAGE: usize = 256;

/// A Redis or Valkey, by its URL.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
}

/// A URL that names no server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadServer(String);

impl Server {
    /// Whether this is meant to be the URL of a server.
    pub fn is_url(text: &str) -> bool {
        ["redis://", "rediss://", "valkey://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads `redis://[user:password@]host[:port][/database]`, without connecting.
    ///
    /// # Errors
    ///
    /// When it is no such URL, or asks for TLS, which is not built in.
    pub fn new(url: &str) -> Result<Self, BadServer> {
        // Named without the URL, which may hold a password.
        let refused = |error: redis::RedisError| BadServer(format!("the URL of a Redis: {error}"));
        let url = url.replacen("valkey://", "redis://", 1);
        Ok(Server { client: Client::open(url).map_err(refused)? })
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        Ok(connection)
    }
}

/// Names on the server. All of a target have the same hash tag: a transaction stays in one slot.
#[derive(Clone)]
struct Names {
    entry: String,
    changes: String,
    /// This replica, so that it need not hear itself.
    own: String,
}

impl Names {
    fn of(target: &str) -> Self {
        Names {
            entry: format!("{{pointsman:cache:{target}}}:entry:"),
            changes: format!("{{pointsman:cache:{target}}}:changes"),
            own: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        }
    }

    fn entry(&self, exact: ExactKey) -> String {
        let mut name = self.entry.clone();
        for byte in exact.0 {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// The key in an entry's name.
    fn exact(&self, name: &str) -> Option<ExactKey> {
        let digits = name.strip_prefix(&self.entry).filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(|number| Digest128(number.to_be_bytes()))
    }

    fn tell(&self, transaction: &mut Pipeline, what: &str, name: &str) {
        transaction
            .cmd("XADD")
            .arg(&self.changes)
            .arg("MAXLEN")
            .arg("~")
            .arg(STREAM)
            .arg("*")
            .arg("by")
            .arg(&self.own)
            .arg(what)
            .arg(name)
            .ignore();
    }
}

/// Writes a replica's changes.
pub(in crate::cache) struct RedisStore {
    server: Server,
    names: Names,
    connection: Option<Connection>,
    /// What was taken out and could not be written. It is owed: others would go on serving it.
    owed: Vec<Change>,
}

impl Store for RedisStore {
    type Error = redis::RedisError;

    fn write(&mut self, changes: &[Change]) -> RedisResult<()> {
        let mut all = std::mem::take(&mut self.owed);
        all.extend_from_slice(changes);
        let result = self.try_write(&all);
        if result.is_err() {
            self.connection = None;
            all.retain(|change| matches!(change, Change::Remove(_) | Change::Clear));
            if all.len() > QUEUE {
                all = vec![Change::Clear];
            }
            self.owed = all;
        }
        result
    }

    fn sweep(&mut self) -> RedisResult<()> {
        if self.owed.is_empty() { Ok(()) } else { self.write(&[]) }
    }
}

impl RedisStore {
    fn try_write(&mut self, changes: &[Change]) -> RedisResult<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.server.connect()?),
        };
        for run in changes.split_inclusive(|change| matches!(change, Change::Clear)) {
            let mut transaction = pipe();
            transaction.atomic();
            for change in run {
                match change {
                    Change::Insert(entry) => {
                        let name = self.names.entry(entry.exact);
                        put(&mut transaction, &name, entry);
                        self.names.tell(&mut transaction, "insert", &name);
                    }
                    Change::Remove(exact) => {
                        let name = self.names.entry(*exact);
                        transaction.cmd("UNLINK").arg(&name).ignore();
                        self.names.tell(&mut transaction, "remove", &name);
                    }
                    Change::Clear => {
                        self.names.tell(&mut transaction, "clear", "");
                    }
                    // Another replica may have room for it.
                    Change::Evict(_) => {}
                }
            }
            if matches!(run.last(), Some(Change::Clear)) {
                for name in names_of_all(connection, &self.names)?.chunks(PAGE) {
                    cmd("UNLINK").arg(name).exec(connection)?;
                }
            }
            transaction.exec(connection)?;
        }
        Ok(())
    }
}

fn names_of_all(connection: &mut Connection, names: &Names) -> RedisResult<Vec<String>> {
    // Braces, which the hash tag has, mean nothing in a pattern; brackets would.
    let pattern = format!("{}*", names.entry);
    let mut scan = cmd("SCAN");
    scan.cursor_arg(0).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
    scan.iter::<String>(connection)?.collect()
}

/// The entry's fields, as one hash that ends with the entry.
fn put(transaction: &mut Pipeline, name: &str, entry: &Entry) {
    transaction.cmd("DEL").arg(name).ignore();
    transaction.cmd("HSET").arg(name);
    transaction.arg("exact").arg(&entry.exact.0);
    transaction.arg("partition").arg(&entry.partition.0);
    if let Some(question) = entry.question.as_deref() {
        transaction.arg("question").arg(question);
    }
    if let Some(vector) = entry.vector_bytes() {
        transaction.arg("vector").arg(vector);
    }
    if let Some(usage) = &entry.usage {
        transaction.arg("input").arg(usage.input).arg("output").arg(usage.output);
    }
    transaction.arg("content_type").arg(&*entry.content_type);
    transaction.arg("body").arg(&*entry.body);
    transaction.arg("created").arg(entry.created_ms);
    transaction.arg("expires").arg(entry.expires_ms);
    transaction.arg("checksum").arg(&entry.checksum().0).ignore();
    transaction.cmd("PEXPIREAT").arg(name).arg(entry.expires_ms).ignore();
}

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

/// Takes in what the server holds, and from then on what other replicas change.
pub(in crate::cache) struct Reader {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a reader tells.
pub(in crate::cache) enum News {
    Change(Change),
    /// The server is gone, or an entry is damaged.
    Failed,
}

impl Reader {
    /// Reads everything and begins to follow. An error says why the first reading failed; the
    /// reader tries again until it is dropped.
    pub(in crate::cache) fn start(
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
    /// Reads on for a while. A server that is gone is told once.
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

    /// A connection on which nothing is missing that changed meanwhile.
    fn connect(&mut self) -> RedisResult<Connection> {
        let mut connection = self.server.connect()?;
        // Before the entries are read, so that what changes meanwhile is read again, not missed.
        let newest = self.end(&mut connection, "XREVRANGE", ["+", "-"])?.unwrap_or_default();
        let oldest = self.end(&mut connection, "XRANGE", ["-", "+"])?.unwrap_or_default();
        match self.last {
            // We were away for short.
            Some(last) if oldest <= last && last <= newest => return Ok(connection),
            // It has forgotten, as after a restart without a file: ours are as good as ever.
            Some(last) if newest < last => {}
            // We missed changes, and something taken out may be among them.
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

    /// Takes in entries by name, those that are still there.
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
