//! A shelf, and what waits while it is saved.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::shelf::Shelf;

/// What happens to a shelf.
pub(super) enum Change {
    Insert(u64, Vec<i8>),
    Remove(u64),
}

/// A shelf of one partition. Saving a large one takes a second, and no request waits for that:
/// searches go on, and changes are made afterwards.
#[derive(Default)]
pub(super) struct Place {
    shelf: RwLock<Shelf>,
    /// Held by whoever changes the shelf, alone by who saves it.
    gate: RwLock<()>,
    /// Changes that came while the gate was closed.
    waiting: Mutex<Vec<Change>>,
}

impl Place {
    pub(super) fn new(shelf: Shelf) -> Self {
        Place { shelf: RwLock::new(shelf), ..Place::default() }
    }

    pub(super) fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shelf().len() == 0
    }

    pub(super) fn is_open(&self) -> bool {
        self.enter().is_some()
    }

    /// Makes a change, or leaves it to who is saving the shelf. Returns whether something was, or
    /// will be, added or removed, as far as is known.
    pub(super) fn change(&self, change: Change) -> bool {
        if let Some(_open) = self.enter() {
            return self.apply(change);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Once it is open, nobody looks at what waits.
        if let Some(_open) = self.enter() {
            drop(waiting);
            return self.apply(change);
        }
        waiting.push(change);
        true
    }

    /// Calls `save` with the shelf as it stays meanwhile, and makes the changes that came.
    pub(super) fn hold<T>(&self, save: impl FnOnce(&Shelf) -> T) -> T {
        let closed = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let saved = save(&self.shelf());
        self.reopen(closed);
        saved
    }

    fn reopen(&self, closed: RwLockWriteGuard<'_, ()>) {
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.is_empty() {
                // Before `waiting` is free, or a change would be left there.
                drop(closed);
                return;
            }
            let changes = std::mem::take(&mut *waiting);
            drop(waiting);
            for change in changes {
                self.apply(change);
            }
        }
    }

    /// `None` while the gate is closed, or about to be.
    fn enter(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match self.gate.try_read() {
            Ok(open) => Some(open),
            Err(TryLockError::Poisoned(open)) => Some(open.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn apply(&self, change: Change) -> bool {
        match change {
            Change::Insert(id, vector) => {
                let shared = self.shelf();
                if !shared.takes(&vector) {
                    return false;
                }
                if let Some(added) = shared.insert_shared(id, &vector) {
                    return added;
                }
                drop(shared);
                self.shelf_alone().insert(id, &vector).is_ok()
            }
            Change::Remove(id) => {
                self.shelf_alone().remove(id);
                true
            }
        }
    }

    fn shelf_alone(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}
