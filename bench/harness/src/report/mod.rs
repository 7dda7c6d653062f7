//! What people read of the results.

pub mod plot;
pub mod table;
