//! Product of sparse rows with a dense matrix, as an operator that candle can differentiate.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};

/// The hashed features of some rows: per row, (bucket, value) pairs. Applied to weights
/// `f32[BUCKETS, H]` it gives `f32[rows, H]`.
///
/// A row fills a few hundred of the 8192 buckets, which makes this some twenty times cheaper than
/// a dense product; and being plain sequential arithmetic it gives the same bits everywhere.
#[derive(Clone)]
pub(super) struct EmbeddingBag(pub(super) Arc<Vec<Vec<(u32, f32)>>>);

impl CustomOp1 for EmbeddingBag {
    fn name(&self) -> &'static str {
        "bags"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let (start, end) = layout
            .contiguous_offsets()
            .ok_or_else(|| Error::msg("the weights of bags must be contiguous"))?;
        let weights = &storage.as_slice::<f32>()?[start..end];
        let mut out = vec![0.0_f32; self.0.len() * width];
        for (bag, out) in self.0.iter().zip(out.chunks_mut(width)) {
            for &(bucket, value) in bag {
                let weights = &weights[bucket as usize * width..][..width];
                out.iter_mut().zip(weights).for_each(|(o, w)| *o += value * w);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((self.0.len(), width))))
    }

    fn bwd(&self, weights: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (buckets, width) = weights.dims2()?;
        let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        let mut out = vec![0.0_f32; buckets * width];
        for (bag, gradient) in self.0.iter().zip(gradient.chunks(width)) {
            for &(bucket, value) in bag {
                let out = &mut out[bucket as usize * width..][..width];
                out.iter_mut().zip(gradient).for_each(|(o, g)| *o += value * g);
            }
        }
        Tensor::from_vec(out, (buckets, width), weights.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn product_and_gradient_match_the_dense_ones() {
        let cpu = &Device::Cpu;
        let weights = Var::new(&[[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]], cpu).unwrap();
        let bags = EmbeddingBag(Arc::new(vec![vec![(0, 0.5), (2, 2.0)], vec![(1, -1.0)], vec![]]));
        let dense = Tensor::new(&[[0.5_f32, 0.0, 2.0], [0.0, -1.0, 0.0], [0.0; 3]], cpu).unwrap();
        let sparse = weights.apply_op1(bags).unwrap();
        let product = dense.matmul(&weights).unwrap();
        let (a, b) = (sparse.to_vec2::<f32>().unwrap(), product.to_vec2::<f32>().unwrap());
        assert_eq!(a, b);
        let gradient = |out: &Tensor| {
            let grads = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            grads.get(&weights).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(gradient(&sparse), gradient(&product));
    }
}
