//! Operators of ours, as tract sees them.

use std::fmt::Debug;

use tract_core::internal::{
    Arc, EvalOp, Op, ShapeFact, StaticName, TVec, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::DatumExt;

/// An operator of ours on `f32` tensors, which a plan runs without making tensors of them.
///
/// What tract's own way of calling adds to an operator, a handful of allocations, is more than most
/// of a router's operators compute.
pub(super) trait Kernel: Debug + Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// The shape of the output.
    ///
    /// # Errors
    ///
    /// When the inputs do not fit.
    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact>;

    /// `marks` says which of the features may be other than zero, should they be an input.
    /// `None` for inputs that do not fit.
    fn run(&self, inputs: &[&[f32]], marks: &[u64], output: &mut [f32]) -> Option<()>;
}

/// A kernel in a tract model. tract only wires it and asks for its shape: a plan runs it.
#[derive(Clone, Debug)]
pub(super) struct KernelOp(pub(super) Arc<dyn Kernel>);

impl KernelOp {
    pub(super) fn new(kernel: impl Kernel) -> Self {
        KernelOp(Arc::new(kernel))
    }
}

impl Op for KernelOp {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for KernelOp {
    fn is_stateless(&self) -> bool {
        true
    }
}

impl TypedOp for KernelOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.0.shape(inputs)?)))
    }
}
