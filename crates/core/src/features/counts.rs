//! Counts of what a text has, by slot of the schema.

use super::ENGINEERED;
use super::schema::Slot;

/// Counts are whole numbers of eighths, so that decayed ones stay exact on every host.
pub(super) const ONE: u32 = 8;

/// Counts in eighths, one a slot of the schema.
pub(super) struct Counts {
    pub(super) eighths: [u32; ENGINEERED],
    /// What one counts now.
    pub(super) weight: u32,
}

impl Counts {
    pub(super) fn bump(&mut self, slot: Slot, by: usize) {
        self.bump_at(slot as usize, by);
    }

    pub(super) fn bump_at(&mut self, position: usize, by: usize) {
        let by = self.weighed(by);
        if let Some(count) = self.eighths.get_mut(position) {
            *count = count.saturating_add(by);
        }
    }

    pub(super) fn raise(&mut self, slot: Slot, to: usize) {
        let to = self.weighed(to);
        if let Some(count) = self.eighths.get_mut(slot as usize) {
            *count = (*count).max(to);
        }
    }

    pub(super) fn weighed(&self, number: usize) -> u32 {
        u32::try_from(number).unwrap_or(u32::MAX).saturating_mul(self.weight)
    }

    /// In eighths.
    pub(super) fn get(&self, slot: Slot) -> usize {
        self.eighths.get(slot as usize).copied().unwrap_or(0) as usize
    }
}
