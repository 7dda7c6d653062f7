//! The vector that is filled, with its units.

use super::schema::{ANSWER_LEN, Slot};

/// `f32[ANSWER_LEN]` under construction.
pub(super) struct Vector(pub(super) [f32; ANSWER_LEN]);

impl Vector {
    pub(super) fn set(&mut self, slot: Slot, value: f32) {
        if let Some(cell) = self.0.get_mut(slot as usize) {
            *cell = value;
        }
    }

    pub(super) fn flag(&mut self, slot: Slot, flag: bool) {
        self.set(slot, f32::from(u8::from(flag)));
    }

    pub(super) fn count(&mut self, slot: Slot, count: usize) {
        self.set(slot, log1p(count as f64));
    }

    pub(super) fn size(&mut self, slot: Slot, value: f64) {
        self.set(slot, log1p(value.abs()));
    }

    pub(super) fn share(&mut self, slot: Slot, part: usize, whole: usize) {
        self.set(slot, part as f32 / whole.max(1) as f32);
    }

    pub(super) fn ratio(&mut self, slot: Slot, above: usize, below: usize) {
        self.set(slot, log1p(above as f64) - log1p(below as f64));
    }
}

/// `ln(1 + value)` of what is not negative, at most 16.7.
pub(super) fn log1p(value: f64) -> f32 {
    libm::log1p(value.clamp(0.0, 16_777_216.0)) as f32
}
