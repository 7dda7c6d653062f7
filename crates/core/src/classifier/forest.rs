//! Oblivious decision trees, which a graph spells out in nine standard operators, as one.

use std::collections::HashMap;

use tract_core::internal::{ShapeFact, Tensor, TractError, TractResult, TypedFact};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::kernel::Kernel;

/// Trees of one depth, all nodes of a level sharing one split; the sum of the leaves that
/// `f32[1, k]` finds, plus a second input `f32[1, 1]`.
///
/// The splits are kept by column and sorted, so that the first "no" settles all that follow. Most
/// columns are n-grams that a prompt does not have: one comparison each (Lucchese et al.,
/// "QuickScorer", SIGIR 2015).
#[derive(Debug)]
pub(super) struct Forest {
    columns: Vec<Column>,
    /// Those of the first column, then those of the second, and so on.
    splits: Vec<Split>,
    /// Those of the first tree, then those of the second, and so on.
    leaves: Vec<f32>,
    leaves_of_a_tree: usize,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    position: usize,
    splits: usize,
}

/// Whether a value is above the threshold, and where a "yes" leads.
#[derive(Clone, Copy, Debug)]
struct Split {
    threshold: f32,
    tree: u16,
    step: u16,
}

impl Forest {
    /// `levels` has the column and the threshold of every first level, then of every second one.
    /// `None` for a shape that does not fit.
    fn new(levels: &[(usize, f32)], trees: usize, leaves: &[f32]) -> Option<Self> {
        let depth = levels.len().checked_div(trees)?;
        let leaves_of_a_tree = 1_usize.checked_shl(u32::try_from(depth).ok()?)?;
        if depth * trees != levels.len() || leaves.len() != trees.checked_mul(leaves_of_a_tree)? {
            return None;
        }
        let mut splits = Vec::new();
        for (place, &(column, threshold)) in levels.iter().enumerate() {
            let tree = u16::try_from(place % trees).ok()?;
            let step = u16::try_from(1_usize << (place / trees)).ok()?;
            splits.push((column, Split { threshold, tree, step }));
        }
        splits.sort_by(|(a, one), (b, other)| {
            a.cmp(b).then(one.threshold.total_cmp(&other.threshold))
        });
        let columns = splits.chunk_by(|(a, _), (b, _)| a == b).filter_map(|chunk| {
            let &(position, _) = chunk.first()?;
            Some(Column { position, splits: chunk.len() })
        });
        Some(Forest {
            columns: columns.collect(),
            splits: splits.iter().map(|(_, split)| *split).collect(),
            leaves: leaves.to_vec(),
            leaves_of_a_tree,
        })
    }

    fn sum(&self, row: &[f32]) -> Option<f32> {
        let mut found = vec![0_u16; self.leaves.len() / self.leaves_of_a_tree];
        let mut splits = self.splits.as_slice();
        for column in &self.columns {
            let value = *row.get(column.position)?;
            let (own, others) = splits.split_at_checked(column.splits)?;
            splits = others;
            for split in own.iter().take_while(|split| split.threshold < value) {
                *found.get_mut(usize::from(split.tree))? += split.step;
            }
        }
        let trees = self.leaves.chunks_exact(self.leaves_of_a_tree).zip(found);
        Some(trees.filter_map(|(leaves, found)| leaves.get(usize::from(found))).sum())
    }
}

impl Kernel for Forest {
    fn name(&self) -> &'static str {
        "Forest"
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        match inputs {
            [features, summand] if features.rank() == 2 && summand.shape.volume() == 1.into() => {
                Ok(ShapeFact::from_dims([1, 1]))
            }
            _ => Err(TractError::msg("a row and a number are expected")),
        }
    }

    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [features, [summand]] = inputs else { return None };
        *output.first_mut()? = self.sum(features)? + summand;
        Some(())
    }
}

/// A forest in a graph.
pub(super) struct Found<'g> {
    pub(super) forest: Forest,
    pub(super) features: &'g str,
    pub(super) summand: &'g str,
    /// Names of what only the forest needs.
    pub(super) within: Vec<&'g str>,
}

/// The forests of a graph, by the name of their sums.
pub(super) fn find<'g>(
    graph: &'g GraphProto,
    constants: &HashMap<String, Tensor>,
) -> HashMap<&'g str, Found<'g>> {
    let made = |node: &'g NodeProto| Some((node.output.first()?.as_str(), node));
    let makers: HashMap<&str, &NodeProto> = graph.node.iter().filter_map(made).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let used = graph.node.iter().flat_map(|node| &node.input);
    for name in used.chain(graph.output.iter().map(|output| &output.name)) {
        *uses.entry(name).or_default() += 1;
    }
    let mut found = HashMap::new();
    for (name, node) in &makers {
        let mut search = Search { makers: &makers, uses: &uses, constants, within: Vec::new() };
        if let Some((forest, features, summand)) = search.forest(node) {
            found.insert(*name, Found { forest, features, summand, within: search.within });
        }
    }
    found
}

struct Search<'s, 'g> {
    makers: &'s HashMap<&'g str, &'g NodeProto>,
    uses: &'s HashMap<&'g str, usize>,
    constants: &'s HashMap<String, Tensor>,
    within: Vec<&'g str>,
}

impl<'s, 'g> Search<'s, 'g> {
    /// Follows a sum back, operator by operator, as `learn::export` writes them.
    fn forest(&mut self, sum: &'g NodeProto) -> Option<(Forest, &'g str, &'g str)> {
        let [leaves, ones, summand] = inputs(sum, "Gemm", None)?;
        let [leaves, entries] = self.inputs_of(leaves, "Gather", Some(("axis", 1)))?;
        let [entries, flat] = self.inputs_of(entries, "Reshape", None)?;
        let to = Some(("to", DataType::Int64 as i64));
        let [entries] = self.inputs_of(entries, "Cast", to)?;
        let [powers, levels, starts] = self.inputs_of(entries, "Gemm", None)?;
        let [levels, shape] = self.inputs_of(levels, "Reshape", None)?;
        let to = Some(("to", DataType::Float as i64));
        let [levels] = self.inputs_of(levels, "Cast", to)?;
        let [thresholds, values] = self.inputs_of(levels, "Less", None)?;
        let [features, columns] = self.inputs_of(values, "Gather", Some(("axis", 1)))?;

        let [depth, trees] = *self.constant::<i64>(shape)? else { return None };
        let (depth, trees) = (usize::try_from(depth).ok()?, usize::try_from(trees).ok()?);
        let (columns, thresholds) =
            (self.constant::<i64>(columns)?, self.constant::<f32>(thresholds)?);
        let leaves = self.constant::<f32>(leaves)?;
        let columns = columns.iter().map(|column| usize::try_from(*column).ok());
        let levels: Vec<(usize, f32)> = columns
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .zip(thresholds.iter().copied())
            .collect();
        let forest = Forest::new(&levels, trees, leaves)?;
        let counts_up = |values: &[f32], mut expected: usize, next: fn(usize, usize) -> usize| {
            values.iter().all(|value| {
                let fits = *value == expected as f32;
                expected = next(expected, forest.leaves_of_a_tree);
                fits
            })
        };
        let powers = self.constant::<f32>(powers)?;
        let starts = self.constant::<f32>(starts)?;
        let ones = self.constant::<f32>(ones)?;
        let fits = depth.checked_mul(trees) == Some(levels.len())
            && thresholds.len() == levels.len()
            && self.constant::<i64>(flat)? == [trees as i64]
            && (powers.len(), starts.len(), ones.len()) == (depth, trees, trees)
            && counts_up(powers, 1, |power, _| 2 * power)
            && counts_up(starts, 0, |start, leaves| start + leaves)
            && counts_up(ones, 1, |one, _| one);
        fits.then_some((forest, features, summand))
    }

    /// The inputs of the node that makes `name`, which nothing else uses.
    fn inputs_of<const N: usize>(
        &mut self,
        name: &'g str,
        operator: &str,
        attribute: Option<(&str, i64)>,
    ) -> Option<[&'g str; N]> {
        self.within.push(name);
        let node = self.makers.get(name).filter(|_| self.uses.get(name) == Some(&1))?;
        inputs(node, operator, attribute)
    }

    fn constant<T: tract_core::prelude::Datum>(&self, name: &str) -> Option<&'s [T]> {
        self.constants.get(name)?.as_slice::<T>().ok()
    }
}

/// The inputs of a node, if it is this operator with nothing but this attribute.
fn inputs<'g, const N: usize>(
    node: &'g NodeProto,
    operator: &str,
    attribute: Option<(&str, i64)>,
) -> Option<[&'g str; N]> {
    let attributes = node.attribute.iter().map(|it| (it.name.as_str(), it.i));
    let is_so = node.op_type == operator && attributes.eq(attribute);
    let inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
    inputs.try_into().ok().filter(|_| is_so)
}
