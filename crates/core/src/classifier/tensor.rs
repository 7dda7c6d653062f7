//! ONNX tensors to tract tensors.

use tract_core::prelude::{Tensor, f16};
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Reads a tensor of `f32` or `i64`, the two types a router model needs, or of half their size, which
/// becomes one of them: a graph casts half floats before it uses them, and either integer is an
/// index.
pub(super) fn read(proto: &TensorProto) -> Result<Tensor, String> {
    let shape = proto
        .dims
        .iter()
        .map(|&size| {
            // Nothing is picked from or multiplied with what is empty, and zero times any size is
            // zero: its strides could be larger than any number.
            let size_of = usize::try_from(size).ok().filter(|size| *size > 0);
            size_of.ok_or_else(|| format!("dimension {size}"))
        })
        .collect::<Result<Vec<usize>, _>>()?;
    let elements = shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .ok_or("too many elements")?;
    if proto.data_type == DataType::Float as i32 {
        let values = if proto.raw_data.is_empty() {
            proto.float_data.clone()
        } else {
            words(&proto.raw_data, f32::from_le_bytes)
        };
        floats(&shape, elements, &values)
    } else if proto.data_type == DataType::Float16 as i32 {
        let half = |bytes| f16::from_le_bytes(bytes).to_f32();
        floats(&shape, elements, &words(&proto.raw_data, half))
    } else if proto.data_type == DataType::Int64 as i32 {
        let values = if proto.raw_data.is_empty() {
            proto.int64_data.clone()
        } else {
            words(&proto.raw_data, i64::from_le_bytes)
        };
        build(&shape, elements, &values)
    } else if proto.data_type == DataType::Int32 as i32 {
        let wide = |bytes| i64::from(i32::from_le_bytes(bytes));
        build(&shape, elements, &words(&proto.raw_data, wide))
    } else {
        let found = proto.data_type;
        Err(format!(
            "tensor type {found} is not supported, only float, float16, int64 and int32 are"
        ))
    }
}

/// An activation may hide what is not a number, so it is refused where it comes in.
fn floats(shape: &[usize], elements: usize, values: &[f32]) -> Result<Tensor, String> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("the value {value} is not finite")),
        None => build(shape, elements, values),
    }
}

fn words<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

fn build<T: tract_core::prelude::Datum + Copy>(
    shape: &[usize],
    elements: usize,
    values: &[T],
) -> Result<Tensor, String> {
    if values.len() != elements {
        return Err(format!("{} values for shape {shape:?}", values.len()));
    }
    Tensor::from_shape(shape, values).map_err(|error| error.to_string())
}
