//! Entries in a Redis or Valkey, shared by replicas.
//!
//! ```text
//! a replica's change ─► hash of the entry, with its end ┐ one transaction
//!                   └─► stream of changes               ┘
//! every replica ◄─ the others' changes, read from the stream into its own memory
//! ```
//!
//! Every replica looks into its own memory only, so no request waits for the server, and without it
//! replicas only miss each other's answers. The server removes what has expired by itself.

mod reader;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use redis::{Client, Connection, Pipeline, RedisResult, cmd, pipe};

use super::{Change, QUEUE, Store};
use crate::entry::Entry;
use crate::key::{Digest128, ExactKey};
use pointsman_core::hex;
pub use reader::{Announced, entry_of, of_streams};
pub(crate) use reader::{News, Reader};

/// A server that does not answer for this long is considered gone.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Changes that the stream holds, roughly. A replica that missed more reads everything again.
const STREAM: usize = 100_000;
/// Entries, or changes, of one round trip.
const PAGE: usize = 256;
/// Names that the server looks at in one round trip.
const SCAN: usize = 4096;

/// A Redis or Valkey, by its URL.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
}

/// Why a URL was rejected.
#[derive(Debug, thiserror::Error)]
// Without the URL, which may hold a password.
#[error("invalid Redis URL: {0}")]
pub struct BadServer(redis::RedisError);

impl Server {
    /// Reads `redis://[user:password@]host[:port][/database]`, without connecting.
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or asks for TLS, which is not built in.
    pub fn new(url: &str) -> Result<Self, BadServer> {
        let url = url.replacen("valkey://", "redis://", 1);
        Ok(Server { client: Client::open(url).map_err(BadServer)? })
    }

    /// What a target's changes are written to.
    pub fn store(&self, target: &str) -> RedisStore {
        self.store_as(Names::of(target))
    }

    fn store_as(&self, names: Names) -> RedisStore {
        RedisStore { server: self.clone(), names, connection: None, owed: Vec::new() }
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
        format!("{}{}", self.entry, hex::encode(&exact.0))
    }

    /// The key in an entry's name.
    fn exact(&self, name: &str) -> Option<ExactKey> {
        hex::decode(name.strip_prefix(&self.entry)?).map(Digest128)
    }

    fn announce(&self, transaction: &mut Pipeline, what: &str, name: &str) {
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
pub struct RedisStore {
    server: Server,
    names: Names,
    connection: Option<Connection>,
    /// Removals that could not be written yet: without them other replicas keep serving the entries.
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
                        self.names.announce(&mut transaction, "insert", &name);
                    }
                    Change::Remove(exact) => {
                        let name = self.names.entry(*exact);
                        transaction.cmd("UNLINK").arg(&name).ignore();
                        self.names.announce(&mut transaction, "remove", &name);
                    }
                    Change::Clear => {
                        self.names.announce(&mut transaction, "clear", "");
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
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let page;
        (cursor, page) = page_of_names(connection, names, cursor)?;
        all.extend(page);
        if cursor == 0 {
            return Ok(all);
        }
    }
}

/// Some of the entries' names, and where to go on; that is 0 at the beginning and at the end.
fn page_of_names(
    connection: &mut Connection,
    names: &Names,
    cursor: u64,
) -> RedisResult<(u64, Vec<String>)> {
    // Braces, which the hash tag has, mean nothing in a pattern; brackets would.
    let pattern = format!("{}*", names.entry);
    let mut scan = cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN);
    let (cursor, found) = scan.query::<(u64, Vec<Vec<u8>>)>(connection)?;
    // What is not text was not written here.
    Ok((cursor, found.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()))
}

/// The entry's fields, as one hash that ends with the entry.
fn put(transaction: &mut Pipeline, name: &str, entry: &Entry) {
    transaction.cmd("DEL").arg(name).ignore();
    transaction.cmd("HSET").arg(name);
    for (field, value) in fields_of(entry) {
        transaction.arg(field).arg(&*value);
    }
    transaction.ignore();
    transaction.cmd("PEXPIREAT").arg(name).arg(entry.expires_ms).ignore();
}

/// The fields of the hash that holds an entry.
pub fn fields_of(entry: &Entry) -> Vec<(&'static str, Cow<'_, [u8]>)> {
    let number = |number: u64| Cow::from(number.to_string().into_bytes());
    let mut fields: Vec<(&'static str, Cow<[u8]>)> = vec![
        ("exact", entry.exact.0.to_vec().into()),
        ("partition", entry.partition.0.to_vec().into()),
        ("content_type", entry.content_type.as_bytes().into()),
        ("body", (&*entry.body).into()),
        ("created", number(entry.created_ms)),
        ("expires", number(entry.expires_ms)),
        ("checksum", entry.checksum().0.to_vec().into()),
    ];
    fields.extend(entry.question.as_deref().map(|text| ("question", text.as_bytes().into())));
    fields.extend(entry.vector_bytes().map(|vector| ("vector", vector.into())));
    if let Some(usage) = &entry.usage {
        fields.extend([("input", number(usage.input)), ("output", number(usage.output))]);
    }
    fields
}
