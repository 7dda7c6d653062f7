//! One ONNX node to an operator of a tract model.

use std::iter::once;

use tract_core::internal::SpecialOps;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::change_axes::{AxisOp, wire_with_rank_broadcast};
use tract_core::ops::{cast, math, nn};
use tract_core::prelude::{Datum, DatumType, OutletId, TDim, Tensor, TypedOp};
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::columns::Columns;
use super::elementwise::{Limit, Pairwise};
use super::gather::Gather;
use super::kernel::KernelOp;
use super::matmul::{SparseMatMul, WeightedRows};
use super::tensor;
use super::wiring::{Refusal, Wiring};

/// One ONNX node on its way into the model.
pub(super) struct Node<'a> {
    pub(super) proto: &'a NodeProto,
    pub(super) name: &'a str,
    pub(super) wiring: &'a mut Wiring,
}

impl Node<'_> {
    /// Operators: <https://onnx.ai/onnx/operators/>, opset 13.
    pub(super) fn wire(mut self) -> Result<OutletId, Refusal> {
        match self.proto.op_type.as_str() {
            "Identity" => self.input(0),
            "Constant" => self.constant(),
            "Add" => self.binary(Pairwise::Add, math::add()),
            "Sub" => self.binary(Pairwise::Sub, math::sub()),
            "Mul" => self.binary(Pairwise::Mul, math::mul()),
            "Div" => self.binary(Pairwise::Div, math::div()),
            "Less" => self.binary(Pairwise::Less, KernelOp::new(Pairwise::Less)),
            "Relu" => self.unary(KernelOp::new(Limit { low: 0.0, high: f32::INFINITY })),
            "Sigmoid" => self.unary(nn::sigmoid()),
            "Tanh" => self.unary(math::tanh()),
            "Clip" => self.clip(),
            "MatMul" => self.matmul(),
            "Gemm" => self.gemm(),
            "Slice" => self.slice(),
            "Concat" => self.concat(),
            "Gather" => self.gather(),
            "Cast" => self.cast(),
            "Reshape" => self.reshape(),
            _ => Err(Refusal::Operator),
        }
    }

    fn input_name(&self, index: usize) -> Result<&str, Refusal> {
        let name = self.proto.input.get(index).filter(|name| !name.is_empty());
        Ok(name.ok_or_else(|| format!("input {index} is missing"))?)
    }

    fn input(&mut self, index: usize) -> Result<OutletId, Refusal> {
        let name = self.input_name(index)?.to_owned();
        self.wiring.wire(&name)
    }

    fn constant_input(&self, index: usize) -> Result<&Tensor, Refusal> {
        let name = self.input_name(index)?;
        let constant = self.wiring.constants.get(name);
        Ok(constant.ok_or_else(|| format!("input \"{name}\" must be a constant"))?)
    }

    fn integers(&self, index: usize) -> Result<Vec<i64>, Refusal> {
        Ok(self.constant_input(index)?.as_slice::<i64>()?.to_vec())
    }

    fn integer_attribute(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    fn attribute(&self, name: &str) -> Option<&tract_onnx::pb::AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    fn rank(&self, wire: OutletId) -> Result<usize, Refusal> {
        Ok(self.wiring.model.outlet_fact(wire)?.rank())
    }

    fn is_float(&self, wire: OutletId) -> Result<bool, Refusal> {
        Ok(self.wiring.model.outlet_fact(wire)?.datum_type == f32::datum_type())
    }

    fn axis(&self, axis: i64, wire: OutletId) -> Result<usize, Refusal> {
        let rank = self.rank(wire)?;
        let counted = if axis < 0 { axis + i64::try_from(rank)? } else { axis };
        let axis = usize::try_from(counted).ok().filter(|axis| *axis < rank);
        Ok(axis.ok_or_else(|| format!("axis {counted} of a tensor of rank {rank}"))?)
    }

    fn put(
        &mut self,
        suffix: &str,
        op: impl Into<Box<dyn TypedOp>>,
        inputs: &[OutletId],
    ) -> Result<OutletId, Refusal> {
        let name = format!("{}{suffix}", self.name);
        let outlets = wire_with_rank_broadcast(name, &mut self.wiring.model, op, inputs)?;
        Ok(outlets.first().copied().ok_or("no outlet")?)
    }

    fn constant(self) -> Result<OutletId, Refusal> {
        let value = self.attribute("value").and_then(|value| value.t.as_ref());
        let tensor = tensor::read(value.ok_or("only the attribute \"value\" is supported")?)?;
        self.wiring.constants.insert(self.name.to_owned(), tensor.clone());
        Ok(self.wiring.model.add_const(self.name, tensor)?)
    }

    fn unary(mut self, op: impl Into<Box<dyn TypedOp>>) -> Result<OutletId, Refusal> {
        let input = self.input(0)?;
        self.put("", op, &[input])
    }

    /// `generic` takes what is not a pair of `f32` tensors of the same shape.
    fn binary(
        mut self,
        pairwise: Pairwise,
        generic: impl Into<Box<dyn TypedOp>>,
    ) -> Result<OutletId, Refusal> {
        let inputs = [self.input(0)?, self.input(1)?];
        let [left, right] = inputs.map(|input| self.wiring.model.outlet_fact(input));
        let (left, right) = (left?, right?);
        let same = left.shape == right.shape && left.datum_type == right.datum_type;
        if same && self.is_float(inputs[0])? {
            self.put("", KernelOp::new(pairwise), &inputs)
        } else {
            self.put("", generic, &inputs)
        }
    }

    fn clip(self) -> Result<OutletId, Refusal> {
        let low = *self.constant_input(1)?.to_scalar::<f32>()?;
        let high = *self.constant_input(2)?.to_scalar::<f32>()?;
        self.unary(KernelOp::new(Limit { low, high }))
    }

    fn matmul(mut self) -> Result<OutletId, Refusal> {
        self.product(None)
    }

    fn gemm(mut self) -> Result<OutletId, Refusal> {
        let scaled = |name| self.attribute(name).is_some_and(|factor| factor.f != 1.0);
        let transposed = |name| self.integer_attribute(name, 0) != 0;
        if scaled("alpha") || scaled("beta") || transposed("transA") || transposed("transB") {
            return Err("alpha, beta, transA and transB are not supported".into());
        }
        let summand = self.input(2)?;
        self.product(Some(summand))
    }

    /// The product of inputs 0 and 1, one of which is constant, plus a summand.
    fn product(&mut self, summand: Option<OutletId>) -> Result<OutletId, Refusal> {
        let (input, inner, op, axis) = match self.constant_input(1) {
            Ok(weights) => {
                let op = SparseMatMul::new(weights);
                let mut op = op.ok_or("the second factor must be a float matrix")?;
                let input = self.input(0)?;
                op.marked = input == self.wiring.features;
                (input, op.inner(), KernelOp::new(op), 1)
            }
            Err(_) => {
                let weights =
                    self.constant_input(0).map_err(|_| "one factor must be a constant")?;
                let op = WeightedRows::new(weights)
                    .ok_or("a constant first factor must be one row of floats")?;
                (self.input(1)?, op.inner(), KernelOp::new(op), 0)
            }
        };
        let rank = self.rank(input)?;
        if rank != 2 {
            return Err(format!("a matrix is expected, not a tensor of rank {rank}").into());
        }
        let size = self.size(input, axis)?;
        if usize::try_from(size)? != inner {
            return Err(format!("the inner sizes of the product are {size} and {inner}").into());
        }
        let inputs: Vec<OutletId> = once(input).chain(summand).collect();
        let product = self.put("", op, &inputs)?;
        if let Some(summand) = summand {
            let (rows, columns) = (self.size(product, 0)?, self.size(product, 1)?);
            let shape = self.wiring.model.outlet_fact(summand)?.shape.to_tvec();
            let fits = |shape: &[TDim]| match shape {
                [n] => n.to_i64().ok() == Some(columns),
                [m, n] => {
                    n.to_i64().ok() == Some(columns)
                        && m.to_i64().is_ok_and(|m| m == 1 || m == rows)
                }
                _ => false,
            };
            if !fits(&shape) {
                return Err(format!("the summand must have {columns} columns").into());
            }
        }
        Ok(product)
    }

    fn slice(mut self) -> Result<OutletId, Refusal> {
        let input = self.input(0)?;
        let (starts, ends, axes) = (self.integers(1)?, self.integers(2)?, self.integers(3)?);
        let steps = if self.proto.input.len() > 4 { self.integers(4)? } else { vec![1] };
        let ([start], [end], [axis], [1]) =
            (starts.as_slice(), ends.as_slice(), axes.as_slice(), steps.as_slice())
        else {
            return Err("one axis and step 1 are expected".into());
        };
        let axis = self.axis(*axis, input)?;
        let size = self.size(input, axis)?;
        let from_end = |at: i64| if at < 0 { at + size } else { at.min(size) };
        let (start, end) = (from_end(*start), from_end(*end));
        if !(0..end).contains(&start) {
            return Err(format!("{start}..{end} of {size}").into());
        }
        if axis == 1 && self.rank(input)? == 2 && self.is_float(input)? {
            return self.pick(input, start..end, size);
        }
        self.put("", Slice::new(axis, start, end), &[input])
    }

    fn size(&self, wire: OutletId, axis: usize) -> Result<i64, Refusal> {
        let shape = &self.wiring.model.outlet_fact(wire)?.shape;
        Ok(shape.get(axis).ok_or("no such axis")?.to_i64()?)
    }

    fn concat(mut self) -> Result<OutletId, Refusal> {
        let inputs = (0..self.proto.input.len())
            .map(|index| self.input(index))
            .collect::<Result<Vec<_>, _>>()?;
        let first = *inputs.first().ok_or("no input")?;
        let axis = self.axis(self.integer_attribute("axis", 0), first)?;
        self.put("", TypedConcat { axis }, &inputs)
    }

    fn gather(mut self) -> Result<OutletId, Refusal> {
        let (data, indices) = (self.input(0)?, self.input(1)?);
        let axis = self.axis(self.integer_attribute("axis", 0), data)?;
        let listed = self.constant_input(1).is_ok_and(|indices| indices.rank() == 1);
        if listed && axis == 1 && self.rank(data)? == 2 && self.is_float(data)? {
            let (positions, size) = (self.integers(1)?, self.size(data, axis)?);
            return self.pick(data, positions, size);
        }
        let outlets = self.wiring.model.wire_node(self.name, Gather { axis }, &[data, indices])?;
        Ok(outlets.first().copied().ok_or("no outlet")?)
    }

    /// Columns of a matrix that has `of` of them.
    fn pick(
        mut self,
        data: OutletId,
        positions: impl IntoIterator<Item = i64>,
        of: i64,
    ) -> Result<OutletId, Refusal> {
        let columns = Columns::new(positions, usize::try_from(of)?);
        let columns = columns.ok_or_else(|| format!("a column is out of {of}"))?;
        self.put("", KernelOp::new(columns), &[data])
    }

    fn cast(mut self) -> Result<OutletId, Refusal> {
        let to = self.integer_attribute("to", 0);
        let to = if to == DataType::Float as i64 {
            f32::datum_type()
        } else if to == DataType::Int64 as i64 {
            DatumType::I64
        } else {
            return Err(format!("type {to} is not supported, only float and int64 are").into());
        };
        let input = self.input(0)?;
        // What was compared is a number already (see [`Pairwise::Less`]).
        if self.wiring.model.outlet_fact(input)?.datum_type == to {
            return Ok(input);
        }
        self.put("", cast::cast(to), &[input])
    }

    fn reshape(mut self) -> Result<OutletId, Refusal> {
        let input = self.input(0)?;
        let shape = self.integers(1)?;
        if shape.iter().any(|size| *size <= 0) {
            return Err("sizes must be given as positive numbers".into());
        }
        let from = self.wiring.model.outlet_fact(input)?.shape.to_tvec();
        let elements = shape.iter().try_fold(1_i64, |product, size| product.checked_mul(*size));
        let before =
            from.iter().try_fold(1_i64, |product, size| product.checked_mul(size.to_i64().ok()?));
        if elements.is_none() || elements != before {
            return Err(format!("{shape:?} has another size than {from:?}").into());
        }
        let to = shape.iter().map(|&size| TDim::Val(size)).collect();
        self.put("", AxisOp::Reshape(0, from, to), &[input])
    }
}
