//! The index as a file, so that a restart need not build it.
//!
//! ```text
//! magic, layout, identity ─ shelves ─ SHA-256 of everything before
//! a shelf: partition, kind, dimensions, IDs, vectors or graph
//! ```
//!
//! The file holds vectors and hashes, no text. It needs no position in a store: an ID is a hash of
//! what was asked, so what is in the file and not in the store is dropped, and what is in the store
//! and not in the file is added. Whatever else the file says costs a hit at most, because an entry
//! found by it is compared by its own text before it serves. But usearch trusts what it reads, so
//! nothing is read that does not match the checksum.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::shelf::{Shelf, read_graph};
use super::{Index, Partition};
use crate::key::Digest128;
use crate::private::{self, beside};

const MAGIC: &[u8; 8] = b"PMINDEX\n";
/// Number of the layout, and of what vectors and graphs are.
const LAYOUT: u32 = 1;
const SUM: usize = 32;
/// Longer vectors are in no file that was written here.
const MOST_DIMENSIONS: usize = 1 << 16;

/// What the vectors were made by, and for whom: a hash.
pub(crate) type Identity = [u8; SUM];

/// Why a file was not used.
#[derive(Debug, thiserror::Error)]
pub enum BadIndex {
    #[error("the checksum does not match")]
    Damaged,
    #[error("it was made with another embedding, target or version")]
    Foreign,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A shelf of a file.
pub(crate) struct SavedShelf {
    pub(crate) partition: Partition,
    /// What is on it, as far as was known when it was saved.
    pub(crate) ids: Vec<u64>,
    shelf: Shelf,
}

impl SavedShelf {
    /// Leaves entries out.
    pub(crate) fn remove(&mut self, ids: &[u64]) {
        ids.iter().for_each(|id| self.shelf.remove(*id));
    }
}

impl Index {
    /// Takes a shelf over, and keeps what the partition has. Returns whether it did.
    pub(crate) fn take_over(&self, saved: SavedShelf) -> bool {
        self.replace(saved.partition, saved.shelf)
    }

    /// Partitions whose IDs only the caller of [`Index::save`] knows.
    pub(crate) fn graphs(&self) -> Vec<Partition> {
        let graphs = self.places().into_iter();
        let graphs = graphs.filter(|(_, place)| matches!(*place.shelf(), Shelf::Graph(_)));
        graphs.map(|(partition, _)| partition).collect()
    }

    /// Writes the index to a file that only its owner can read. It replaces the one before as a
    /// whole, whenever the process or the machine ends. Requests go on meanwhile.
    pub(crate) fn save(
        &self,
        path: &Path,
        identity: &Identity,
        ids: &HashMap<Partition, Vec<u64>>,
    ) -> io::Result<()> {
        let (new, scratch) = (beside(path, ".new"), beside(path, ".graph"));
        let written = self.write(&new, &scratch, identity, ids);
        // There is none when no partition is large.
        let _ = std::fs::remove_file(&scratch);
        let renamed = written.and_then(|()| std::fs::rename(&new, path));
        if renamed.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        renamed?;
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn write(
        &self,
        new: &Path,
        scratch: &Path,
        identity: &Identity,
        ids: &HashMap<Partition, Vec<u64>>,
    ) -> io::Result<()> {
        let mut file =
            Summed { file: BufWriter::with_capacity(1 << 20, empty(new)?), sum: Sha256::new() };
        file.write_all(MAGIC)?;
        file.write_all(&LAYOUT.to_le_bytes())?;
        file.write_all(identity)?;
        let places = self.places();
        file.number(places.len())?;
        for (partition, place) in places {
            file.write_all(&partition.0)?;
            let copied = place.hold(|shelf| match shelf {
                Shelf::Scanned { ids, vectors } => Ok(Some((ids.clone(), vectors.clone()))),
                Shelf::Graph(graph) => save_graph(graph, scratch).map(|()| None),
            });
            self.clear_away(partition, &place);
            match copied? {
                Some((ids, vectors)) => {
                    let dimensions = vectors.len().checked_div(ids.len()).unwrap_or_default();
                    file.shelf(0, dimensions, &ids)?;
                    let bytes: Vec<u8> = vectors.iter().map(|it| it.cast_unsigned()).collect();
                    file.number(bytes.len())?;
                    file.write_all(&bytes)?;
                }
                None => {
                    let dimensions = match &*place.shelf() {
                        Shelf::Graph(graph) => graph.dimensions(),
                        Shelf::Scanned { .. } => 0,
                    };
                    let none = Vec::new();
                    file.shelf(1, dimensions, ids.get(&partition).unwrap_or(&none))?;
                    let mut graph = File::open(scratch)?;
                    file.number(usize::try_from(graph.metadata()?.len()).unwrap_or_default())?;
                    io::copy(&mut graph, &mut file)?;
                }
            }
        }
        let Summed { mut file, sum } = file;
        file.write_all(&sum.finalize())?;
        file.flush()?;
        file.get_ref().sync_all()
    }
}

fn save_graph(graph: &usearch::Index, scratch: &Path) -> io::Result<()> {
    // usearch would make a file that everybody can read.
    drop(empty(scratch)?);
    let name = scratch.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
    graph.save(name).map_err(|error| io::Error::other(error.to_string()))
}

/// An empty file for its owner alone.
fn empty(path: &Path) -> io::Result<File> {
    private::open(OpenOptions::new().write(true).create(true).truncate(true), path)
}

/// A file whose bytes are summed up as they are written.
struct Summed {
    file: BufWriter<File>,
    sum: Sha256,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Summed {
    fn number(&mut self, number: usize) -> io::Result<()> {
        self.write_all(&(number as u64).to_le_bytes())
    }

    fn shelf(&mut self, kind: u8, dimensions: usize, ids: &[u64]) -> io::Result<()> {
        self.write_all(&[kind])?;
        self.number(dimensions)?;
        self.number(ids.len())?;
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.write_all(&bytes)
    }
}

/// Reads what [`Index::save`] wrote; nothing when there is no file.
///
/// # Errors
///
/// When the file is damaged, or was made by or for somebody else.
pub(crate) fn read(path: &Path, identity: &Identity) -> Result<Vec<SavedShelf>, BadIndex> {
    // What a crash left.
    for suffix in [".new", ".graph"] {
        let _ = std::fs::remove_file(beside(path, suffix));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len().checked_sub(SUM as u64).ok_or(BadIndex::Damaged)?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let (mut sum, mut summed) = (Sha256::new(), file.by_ref().take(length));
    loop {
        let bytes = summed.fill_buf()?;
        let count = bytes.len();
        if count == 0 {
            break;
        }
        sum.update(bytes);
        summed.consume(count);
    }
    let mut stored = [0; SUM];
    file.read_exact(&mut stored)?;
    if <[u8; SUM]>::from(sum.finalize()) != stored {
        return Err(BadIndex::Damaged);
    }
    file.rewind()?;
    let mut rest = Rest { file: file.take(length) };
    let whose: ([u8; 8], u32, Identity) =
        (rest.array()?, u32::from_le_bytes(rest.array()?), rest.array()?);
    if whose != (*MAGIC, LAYOUT, *identity) {
        return Err(BadIndex::Foreign);
    }
    let shelves = rest.number()?;
    (0..shelves).map(|_| rest.shelf()).collect()
}

/// What is left to read of a file.
struct Rest {
    file: io::Take<BufReader<File>>,
}

impl Rest {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadIndex> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<usize, BadIndex> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| BadIndex::Damaged)
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>, BadIndex> {
        if count as u64 > self.file.limit() {
            return Err(BadIndex::Damaged);
        }
        let mut bytes = vec![0; count];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn shelf(&mut self) -> Result<SavedShelf, BadIndex> {
        let partition = Digest128(self.array()?);
        let [kind] = self.array()?;
        let dimensions = self.number()?;
        let count = self.number()?.checked_mul(8).ok_or(BadIndex::Damaged)?;
        let ids = self.bytes(count)?;
        let (ids, _) = ids.as_chunks::<8>();
        let ids: Vec<u64> = ids.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let count = self.number()?;
        let bytes = self.bytes(count)?;
        let shelf = match kind {
            0 if ids.len().checked_mul(dimensions) == Some(bytes.len()) => {
                let vectors = bytes.iter().map(|byte| byte.cast_signed()).collect();
                Shelf::Scanned { ids: ids.clone(), vectors }
            }
            1 if (1..=MOST_DIMENSIONS).contains(&dimensions) => {
                read_graph(dimensions, &bytes).map_err(|_| BadIndex::Damaged)?
            }
            _ => return Err(BadIndex::Damaged),
        };
        Ok(SavedShelf { partition, ids, shelf })
    }
}
