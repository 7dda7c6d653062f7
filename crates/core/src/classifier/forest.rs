//! Oblivious decision trees, which a graph spells out in nine standard operators, as one.

use std::collections::HashMap;

use tract_core::internal::{
    Arc, EvalOp, Op, StaticName, TVec, Tensor, TractError, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::DatumExt;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::plan::Kernel;

/// Trees of one depth, all nodes of a level asking the same question; the sum of the leaves that
/// `f32[1, k]` finds, plus a second input `f32[1, 1]`.
///
/// The questions are kept by column and sorted, so that the first "no" answers all that follow. Most
/// columns are n-grams that a prompt does not have: one comparison each (Lucchese et al.,
/// "QuickScorer", SIGIR 2015).
#[derive(Clone, Debug)]
pub(super) struct Forest {
    columns: Arc<Vec<Column>>,
    /// Those of the first column, then those of the second, and so on.
    questions: Arc<Vec<Question>>,
    /// Those of the first tree, then those of the second, and so on.
    leaves: Arc<Vec<f32>>,
    leaves_of_a_tree: usize,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    position: usize,
    questions: usize,
}

/// Whether a value is above the cut, and where a "yes" leads.
#[derive(Clone, Copy, Debug)]
struct Question {
    cut: f32,
    tree: u16,
    step: u16,
}

impl Forest {
    /// `levels` has the column and the cut of every first level, then of every second one.
    /// `None` for a shape that is none.
    fn new(levels: &[(usize, f32)], trees: usize, leaves: &[f32]) -> Option<Self> {
        let depth = levels.len().checked_div(trees)?;
        let leaves_of_a_tree = 1_usize.checked_shl(u32::try_from(depth).ok()?)?;
        if depth * trees != levels.len() || leaves.len() != trees.checked_mul(leaves_of_a_tree)? {
            return None;
        }
        let mut questions = Vec::new();
        for (place, &(column, cut)) in levels.iter().enumerate() {
            let tree = u16::try_from(place % trees).ok()?;
            let step = u16::try_from(1_usize << (place / trees)).ok()?;
            questions.push((column, Question { cut, tree, step }));
        }
        questions.sort_by(|(a, one), (b, other)| a.cmp(b).then(one.cut.total_cmp(&other.cut)));
        let columns = questions.chunk_by(|(a, _), (b, _)| a == b).filter_map(|chunk| {
            let &(position, _) = chunk.first()?;
            Some(Column { position, questions: chunk.len() })
        });
        Some(Forest {
            columns: Arc::new(columns.collect()),
            questions: Arc::new(questions.iter().map(|(_, question)| *question).collect()),
            leaves: Arc::new(leaves.to_vec()),
            leaves_of_a_tree,
        })
    }

    fn sum(&self, row: &[f32]) -> Option<f32> {
        let mut found = vec![0_u16; self.leaves.len() / self.leaves_of_a_tree];
        let mut questions = self.questions.as_slice();
        for column in &*self.columns {
            let value = *row.get(column.position)?;
            let (own, others) = questions.split_at_checked(column.questions)?;
            questions = others;
            for question in own.iter().take_while(|question| question.cut < value) {
                *found.get_mut(usize::from(question.tree))? += question.step;
            }
        }
        let trees = self.leaves.chunks_exact(self.leaves_of_a_tree).zip(found);
        Some(trees.filter_map(|(leaves, found)| leaves.get(usize::from(found))).sum())
    }
}

impl Op for Forest {
    fn name(&self) -> StaticName {
        "Forest".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Forest {
    fn is_stateless(&self) -> bool {
        true
    }
}

impl Kernel for Forest {
    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [features, [summand]] = inputs else { return None };
        *output.first_mut()? = self.sum(features)? + summand;
        Some(())
    }
}

impl TypedOp for Forest {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let sum = f32::fact([1, 1]);
        match inputs {
            [features, summand] if features.rank() == 2 && summand.shape.volume() == 1.into() => {
                Ok(tvec!(sum))
            }
            _ => Err(TractError::msg("a row and a number are expected")),
        }
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
        let [cuts, values] = self.inputs_of(levels, "Less", None)?;
        let [features, columns] = self.inputs_of(values, "Gather", Some(("axis", 1)))?;

        let [depth, trees] = *self.constant::<i64>(shape)? else { return None };
        let (depth, trees) = (usize::try_from(depth).ok()?, usize::try_from(trees).ok()?);
        let (columns, cuts) = (self.constant::<i64>(columns)?, self.constant::<f32>(cuts)?);
        let leaves = self.constant::<f32>(leaves)?;
        let columns = columns.iter().map(|column| usize::try_from(*column).ok());
        let levels: Vec<(usize, f32)> =
            columns.collect::<Option<Vec<_>>>()?.into_iter().zip(cuts.iter().copied()).collect();
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
        let fits = levels.len() == depth * trees
            && cuts.len() == levels.len()
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
