//! Small and large partitions.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::saved::{BadIndex, Identity, read};
use super::shelf::SCANNED;
use super::*;
use crate::key::Digest128;

const DIMENSIONS: usize = 128;
const ONE: Partition = Digest128([1; 16]);
const TWO: Partition = Digest128([2; 16]);

fn vectors(count: usize) -> Vec<Vec<f32>> {
    let mut random = SmallRng::seed_from_u64(7);
    (0..count).map(|_| (0..DIMENSIONS).map(|_| random.random::<f32>() - 0.5).collect()).collect()
}

#[test]
fn partitions_do_not_see_each_other() {
    let (index, vectors) = (Index::default(), vectors(2));
    assert!(index.insert(ONE, 10, &vectors[0]));
    assert!(index.insert(TWO, 20, &vectors[0]));
    let found = index.nearest(ONE, &vectors[0], 5);
    assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [10]);
    assert!(found[0].cosine > 0.999);
    assert_eq!(index.nearest(Digest128([3; 16]), &vectors[0], 5), []);
}

#[test]
fn removed_entries_are_gone_from_small_and_large_partitions() {
    for count in [3, SCANNED + 500] {
        let (index, vectors) = (Index::default(), vectors(count));
        for (id, vector) in vectors.iter().enumerate() {
            assert!(index.insert(ONE, id as u64, vector));
        }
        assert_eq!(index.len(), count);
        for id in [0, count - 1] {
            assert_eq!(index.nearest(ONE, &vectors[id], 1)[0].id, id as u64);
            index.remove(ONE, id as u64);
            assert!(index.nearest(ONE, &vectors[id], 3).iter().all(|n| n.id != id as u64));
        }
        assert_eq!(index.nearest(ONE, &vectors[1], 1)[0].id, 1);
        assert_eq!(index.len(), count - 2);
    }
}

#[test]
fn vectors_of_another_length_do_not_meet_in_small_and_large_partitions() {
    for count in [3, SCANNED + 500] {
        let (index, vectors) = (Index::default(), vectors(count));
        for (id, vector) in vectors.iter().enumerate() {
            assert!(index.insert(ONE, id as u64, vector));
        }
        assert!(!index.insert(ONE, 1 << 40, &[1.0, 2.0]));
        assert_eq!(index.nearest(ONE, &[1.0, 2.0], 3), []);
        assert!(index.insert(TWO, 1, &[1.0, 2.0]));
        assert_eq!(index.nearest(TWO, &[1.0, 2.0], 3).len(), 1);
    }
}

#[test]
fn an_empty_partition_is_cleared_away() {
    let (index, vectors) = (Index::default(), vectors(1));
    assert!(index.insert(ONE, 1, &vectors[0]));
    index.remove(ONE, 1);
    assert!(index.is_empty());
}

#[test]
fn a_large_partition_finds_nearly_every_nearest() {
    let (index, vectors) = (Index::default(), vectors(SCANNED + 1000));
    for (id, vector) in vectors.iter().enumerate() {
        assert!(index.insert(ONE, id as u64, vector));
    }
    let found = (0..200).filter(|id| {
        let nearest = index.nearest(ONE, &vectors[id * 20], 1);
        nearest.first().is_some_and(|n| n.id == *id as u64 * 20)
    });
    assert!(found.count() >= 195);
}

#[test]
fn an_id_is_there_once_in_small_and_large_partitions() {
    for count in [3, SCANNED + 500] {
        let (index, vectors) = (filled(count), vectors(1));
        assert!(index.contains(ONE, 1) && !index.contains(ONE, count as u64));
        assert!(!index.insert(ONE, 1, &vectors[0]));
        assert_eq!(index.len(), count);
    }
}

const IDENTITY: Identity = [7; 32];

fn filled(count: usize) -> Index {
    let index = Index::default();
    for (id, vector) in vectors(count).iter().enumerate() {
        assert!(index.insert(ONE, id as u64, vector));
    }
    index
}

/// A small partition and a large one, as they were saved.
fn saved(path: &Path) -> Index {
    let index = filled(SCANNED + 500);
    for (id, vector) in vectors(3).iter().enumerate() {
        assert!(index.insert(TWO, id as u64, vector));
    }
    let ids = index.graphs().into_iter().map(|partition| (partition, vec![0, 1, 2]));
    index.save(path, &IDENTITY, &ids.collect()).unwrap();
    index
}

#[test]
fn a_saved_index_finds_what_it_found_before_and_takes_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let (before, after) = (saved(&path), Index::default());
    // Inserted before the file is read.
    let late = vectors(SCANNED + 501).pop().unwrap();
    assert!(after.insert(ONE, 1 << 40, &late));
    for shelf in read(&path, &IDENTITY).unwrap() {
        assert_eq!(shelf.ids, [0, 1, 2]);
        assert!(after.take_over(shelf));
    }
    assert_eq!(after.len(), before.len() + 1);
    let mut found = 0;
    for (id, vector) in vectors(SCANNED + 500).iter().enumerate().step_by(100) {
        found += usize::from(after.nearest(ONE, vector, 1)[0].id == id as u64);
        assert_eq!(after.nearest(TWO, vector, 3), before.nearest(TWO, vector, 3));
    }
    assert!(found >= 44, "{found} of 46");
    assert_eq!(after.nearest(ONE, &late, 1)[0].id, 1 << 40);
    after.remove(ONE, 5);
    assert!(!after.contains(ONE, 5));
    assert!(after.insert(ONE, 5, &vectors(6)[5]));
    // A partition that has become large is not replaced.
    let again = read(&path, &IDENTITY).unwrap().into_iter().find(|it| it.partition == ONE).unwrap();
    assert!(!after.take_over(again));
    assert!(after.contains(ONE, 1 << 40));
}

#[test]
fn a_graph_with_removed_entries_is_saved_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let (index, vectors) = (filled(SCANNED + 500), vectors(SCANNED + 500));
    (0..100).for_each(|id| index.remove(ONE, id));
    index.save(&path, &IDENTITY, &HashMap::new()).unwrap();
    let after = Index::default();
    read(&path, &IDENTITY).unwrap().into_iter().for_each(|it| assert!(after.take_over(it)));
    assert_eq!(after.len(), SCANNED + 400);
    assert!(after.nearest(ONE, &vectors[50], 3).iter().all(|it| it.id >= 100));
    assert!(after.insert(ONE, 50, &vectors[50]));
    assert_eq!(after.nearest(ONE, &vectors[50], 1)[0].id, 50);
}

#[test]
fn a_file_that_is_damaged_anywhere_or_foreign_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    assert_eq!(read(&path, &IDENTITY).unwrap().len(), 0, "a missing file is not an error");
    saved(&path);
    let whole = std::fs::read(&path).unwrap();
    assert!(matches!(read(&path, &[8; 32]), Err(BadIndex::Foreign)));
    for at in (0..whole.len()).step_by(whole.len() / 50) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(read(&path, &IDENTITY), Err(BadIndex::Damaged)), "at {at}");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(read(&path, &IDENTITY), Err(BadIndex::Damaged)), "cut at {at}");
    }
    let longer = [&whole[..], b"x"].concat();
    std::fs::write(&path, longer).unwrap();
    assert!(matches!(read(&path, &IDENTITY), Err(BadIndex::Damaged)));
    std::fs::write(&path, whole).unwrap();
    assert_eq!(read(&path, &IDENTITY).unwrap().len(), 2);
}

#[test]
fn only_the_owner_can_read_an_index_and_what_a_crash_left_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    // As a copy, and a crash, may have left them.
    for name in ["index", "index.new", "index.graph"] {
        let file = directory.path().join(name);
        std::fs::write(&file, "half").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    }
    saved(&path);
    let names = || {
        let files = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
        files.map(|file| file.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["index"]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for name in ["index.new", "index.graph"] {
        std::fs::write(directory.path().join(name), "half").unwrap();
    }
    assert_eq!(read(&path, &IDENTITY).unwrap().len(), 2);
    assert_eq!(names(), ["index"]);
}

#[test]
fn changes_while_a_partition_is_saved_wait_and_are_made() {
    let (place, vectors) = (&Place::new(Shelf::default()), &vectors(4));
    let insert = move |id: u64| Change::Insert(id, quantise(&vectors[id as usize]));
    assert!(place.change(insert(0)));
    place.hold(|shelf| {
        std::thread::scope(|scope| {
            for id in 1..4 {
                scope.spawn(move || assert!(place.change(insert(id))));
            }
        });
        place.change(Change::Remove(0));
        assert_eq!(shelf.len(), 1, "it stays as it is");
        assert!(!place.is_open());
    });
    assert!(place.is_open());
    assert_eq!(place.shelf().len(), 3);
    assert!(!place.shelf().contains(0));
}

/// Inserting, removing and searching go on while the index is saved over and over.
#[test]
fn nothing_is_lost_while_an_index_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let (index, all) = (filled(SCANNED + 500), vectors(SCANNED + 2000));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let saves = scope.spawn(|| {
            let mut saves = 0;
            while !done.load(Ordering::Relaxed) || saves == 0 {
                index.save(&path, &IDENTITY, &HashMap::new()).unwrap();
                saves += 1;
            }
        });
        let halves = [SCANNED + 500..SCANNED + 1250, SCANNED + 1250..SCANNED + 2000];
        let writers = halves.map(|half| {
            let (index, all) = (&index, &all);
            scope.spawn(move || {
                for id in half {
                    assert!(index.insert(ONE, id as u64, &all[id]));
                    index.remove(ONE, (id - SCANNED - 500) as u64);
                    index.nearest(ONE, &all[id], 3);
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        saves.join().unwrap();
    });
    assert_eq!(index.len(), SCANNED + 500);
    assert!((1500..SCANNED + 2000).all(|id| index.contains(ONE, id as u64)));
    let after = Index::default();
    index.save(&path, &IDENTITY, &HashMap::new()).unwrap();
    read(&path, &IDENTITY).unwrap().into_iter().for_each(|it| assert!(after.take_over(it)));
    assert_eq!(after.len(), index.len());
}
