//! Building blocks of an ONNX graph: standard operators of opset 13.

use half::f16;
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType::{
    self, Float as FLOAT, Float16 as FLOAT16, Int32 as INT32, Int64 as INT64,
};

/// Opset and IR version of the files that are written.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 8;

/// A graph under construction. Each operator returns the name of its output.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<pb::NodeProto>,
    initializers: Vec<pb::TensorProto>,
    prefix: String,
}

impl Graph {
    /// Puts a prefix before the names of what is made from now on.
    pub fn prefix(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    /// Takes over the nodes of another graph with the same `input`; returns the name of its
    /// tensor `output` in this one.
    pub fn include(&mut self, other: &pb::GraphProto, output: &str, input: &str) -> String {
        let named = |name: &String| {
            if name == input { name.clone() } else { format!("{}{name}", self.prefix) }
        };
        self.nodes.extend(other.node.iter().map(|node| pb::NodeProto {
            name: named(&node.name),
            input: node.input.iter().map(named).collect(),
            output: node.output.iter().map(named).collect(),
            ..node.clone()
        }));
        self.initializers.extend(
            other
                .initializer
                .iter()
                .map(|tensor| pb::TensorProto { name: named(&tensor.name), ..tensor.clone() }),
        );
        format!("{}{output}", self.prefix)
    }

    /// Rows side by side.
    pub fn concat(&mut self, name: &str, inputs: &[&str]) -> String {
        self.node_with("Concat", name, inputs, Some(("axis", 1)))
    }

    /// A constant `f32` tensor.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, dims, FLOAT, raw)
    }

    /// A constant `f32` tensor whose values are half floats, kept as such.
    pub fn halves(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let halves = self.initializer(&format!("{name}_half"), dims, FLOAT16, raw);
        self.cast_float(name, &halves)
    }

    /// A constant `i64` tensor of rank 1.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], INT64, raw)
    }

    /// A constant `i32` tensor of rank 1, for what indexes.
    pub fn positions(&mut self, name: &str, values: &[usize]) -> String {
        let raw = values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect();
        self.initializer(name, &[values.len()], INT32, raw)
    }

    fn initializer(
        &mut self,
        name: &str,
        dims: &[usize],
        data_type: DataType,
        raw_data: Vec<u8>,
    ) -> String {
        let name = format!("{}{name}", self.prefix);
        self.initializers.push(pb::TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..Default::default()
        });
        name
    }

    /// A node without attributes; its output has the node's name.
    pub fn node(&mut self, operator: &str, name: &str, inputs: &[&str]) -> String {
        self.node_with(operator, name, inputs, None)
    }

    /// Entries of `data` along an axis.
    pub fn gather(&mut self, name: &str, data: &str, indices: &str, axis: i64) -> String {
        self.node_with("Gather", name, &[data, indices], Some(("axis", axis)))
    }

    /// Values as `f32`.
    pub fn cast_float(&mut self, name: &str, input: &str) -> String {
        self.node_with("Cast", name, &[input], Some(("to", FLOAT as i64)))
    }

    /// Values as `i64`.
    pub fn cast_integer(&mut self, name: &str, input: &str) -> String {
        self.node_with("Cast", name, &[input], Some(("to", INT64 as i64)))
    }

    fn node_with(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attribute: Option<(&str, i64)>,
    ) -> String {
        let attribute = attribute.map(|(name, value)| pb::AttributeProto {
            name: name.to_owned(),
            r#type: pb::attribute_proto::AttributeType::Int as i32,
            i: value,
            ..Default::default()
        });
        let name = format!("{}{name}", self.prefix);
        self.nodes.push(pb::NodeProto {
            op_type: operator.to_owned(),
            name: name.clone(),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.clone()],
            attribute: attribute.into_iter().collect(),
            ..Default::default()
        });
        name
    }

    /// The tensor in another shape.
    pub fn reshape(&mut self, name: &str, input: &str, dims: &[i64]) -> String {
        let shape = self.integers(&format!("{name}_shape"), dims);
        self.node("Reshape", name, &[input, &shape])
    }

    /// Columns `start..end`.
    pub fn columns(&mut self, name: &str, input: &str, start: usize, end: usize) -> String {
        let starts = self.integers(&format!("{name}_start"), &[start as i64]);
        let ends = self.integers(&format!("{name}_end"), &[end as i64]);
        let axes = self.integers(&format!("{name}_axis"), &[1]);
        self.node("Slice", name, &[input, &starts, &ends, &axes])
    }

    /// Values limited to `low..=high`.
    pub fn clip(&mut self, name: &str, input: &str, low: f32, high: f32) -> String {
        let low = self.floats(&format!("{name}_low"), &[], &[low]);
        let high = self.floats(&format!("{name}_high"), &[], &[high]);
        self.node("Clip", name, &[input, &low, &high])
    }

    /// The finished model, encoded. `input` is `f32[1, features]`; `outputs` name nodes of shape
    /// `f32[1, scores]`.
    pub fn encode(self, input: (&str, usize), outputs: &[(&str, usize)]) -> Vec<u8> {
        let model = pb::ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "pointsman".to_owned(),
            graph: Some(pb::GraphProto {
                name: "pointsman".to_owned(),
                node: self.nodes,
                initializer: self.initializers,
                input: vec![value_info(input.0, input.1)],
                output: outputs.iter().map(|output| value_info(output.0, output.1)).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        prost::Message::encode_to_vec(&model)
    }
}

fn value_info(name: &str, columns: usize) -> pb::ValueInfoProto {
    let dim = |size: usize| pb::tensor_shape_proto::Dimension {
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(size as i64)),
        ..Default::default()
    };
    let tensor = pb::type_proto::Tensor {
        elem_type: FLOAT as i32,
        shape: Some(pb::TensorShapeProto { dim: vec![dim(1), dim(columns)] }),
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
