//! The filter's side of the control plane, without a host: signed decision ids, the buffer of
//! decisions that wait to be posted, and the policy snapshot in use.

mod buffer;
mod decision_id;
mod live;

pub use buffer::Buffer;
pub use decision_id::{DecisionId, Signer};
pub use live::{Live, Missing};
