//! The libraries' work on the CPU, over the same layout and as slow as it is plain, to test all of `fast` but them.

use candle_core::{DType, Result, Tensor};

use super::Kernels;
use super::rows::{Cache, Rows};
use crate::kv::BLOCK_TOKENS;

/// Kernels of candle's CPU device.
#[derive(Debug)]
pub(super) struct Plain;

/// Element of a tensor by its indices.
fn at(shape: &[usize], indices: &[usize]) -> usize {
    shape.iter().zip(indices).fold(0, |at, (dim, index)| {
        assert!(index < dim, "{indices:?} is outside of {shape:?}");
        at * dim + index
    })
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// Where element `d` of the key of a head lies.
fn key_at(keys: &Tensor, slot: usize, head: usize, d: usize) -> usize {
    let together = keys.dims()[4];
    let (block, place) = (slot / BLOCK_TOKENS, slot % BLOCK_TOKENS);
    at(keys.dims(), &[block, head, d / together, place, d % together])
}

fn value_at(values: &Tensor, slot: usize, head: usize, d: usize) -> usize {
    at(values.dims(), &[slot / BLOCK_TOKENS, head, d, slot % BLOCK_TOKENS])
}

impl Kernels for Plain {
    fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
        assert!(x.is_contiguous() && w.is_contiguous(), "as cuBLAS is given them");
        assert_eq!(x.dtype(), w.dtype(), "as cuBLAS is given them");
        x.to_dtype(DType::F32)?.matmul(&w.to_dtype(DType::F32)?.t()?)
    }

    fn write(rows: &Rows, keys: &Tensor, new_values: &Tensor, cache: &Cache) -> Result<()> {
        let (_, heads, head_dim) = keys.dims3()?;
        let (mut all_keys, mut all_values) = (values(&cache.keys)?, values(&cache.values)?);
        let (keys, new_values) = (values(keys)?, values(new_values)?);
        for (row, slot) in rows.slots.to_vec1::<i64>()?.into_iter().enumerate() {
            let slot = usize::try_from(slot).expect("not negative");
            for (head, d) in (0..heads).flat_map(|head| (0..head_dim).map(move |d| (head, d))) {
                let from = (row * heads + head) * head_dim + d;
                all_keys[key_at(&cache.keys, slot, head, d)] = keys[from];
                all_values[value_at(&cache.values, slot, head, d)] = new_values[from];
            }
        }
        for (tensor, all) in [(&cache.keys, all_keys), (&cache.values, all_values)] {
            let all = Tensor::from_vec(all, tensor.shape(), tensor.device())?.to_dtype(tensor.dtype())?;
            tensor.slice_set(&all, 0, 0)?;
        }
        Ok(())
    }

    fn attend(rows: &Rows, queries: &Tensor, cache: &Cache, scale: f32) -> Result<Tensor> {
        let (count, heads, head_dim) = queries.dims3()?;
        let shared = heads / cache.keys.dims()[1];
        let (keys, stored) = (values(&cache.keys)?, values(&cache.values)?);
        let (tables, contexts) = (rows.tables.to_vec2::<u32>()?, rows.contexts.to_vec1::<u32>()?);
        let asked = values(queries)?;
        let mut out = vec![0.0; asked.len()];
        for (row, head) in (0..count).flat_map(|row| (0..heads).map(move |head| (row, head))) {
            let query = &asked[(row * heads + head) * head_dim..][..head_dim];
            let slot = |position: usize| {
                tables[row][position / BLOCK_TOKENS] as usize * BLOCK_TOKENS + position % BLOCK_TOKENS
            };
            let score = |position: usize| {
                let key = |d| keys[key_at(&cache.keys, slot(position), head / shared, d)];
                query.iter().enumerate().map(|(d, q)| q * key(d)).sum::<f32>() * scale
            };
            let scores: Vec<f32> = (0..contexts[row] as usize).map(score).collect();
            let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = scores.iter().map(|score| (score - best).exp()).sum();
            for (position, score) in scores.iter().enumerate() {
                let share = (score - best).exp() / total;
                for (d, sum) in out[(row * heads + head) * head_dim..][..head_dim]
                    .iter_mut()
                    .enumerate()
                {
                    *sum += share * stored[value_at(&cache.values, slot(position), head / shared, d)];
                }
            }
        }
        Tensor::from_vec(out, queries.shape(), queries.device())?.to_dtype(queries.dtype())
    }
}
