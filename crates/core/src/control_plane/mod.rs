//! The filter's side of the control plane, without a host: signed decision ids, the buffer of
//! decisions that wait to be posted, the policy snapshot in use, and rewards that the filter gives
//! by itself.

pub mod asked;
mod buffer;
mod client;
mod decision_id;
mod live;
pub mod paths;

pub use buffer::Buffer;
pub use client::{Answered, BanditRecord, Caller, Client};
pub use decision_id::{DecisionId, Signer};
pub use live::Live;
