//! Passes without reductions: SwiGLU, residual, bias, embedding.

use super::exp::exp;
use super::gemm::{HALF, Matrix, Wide};
use super::norm::SERIAL_ELEMENTS;
use super::par::Par;
use super::simd::multiversion;

multiversion! {
    fn swiglu_row(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
            *out = g / (1.0 + exp(-g)) * u;
        }
    }

    /// silu(gate) · up of rows of 16 gates and 16 ups, in place of the gates.
    pub(super) fn swiglu_strip(rows: &mut [Wide]) {
        for Wide([gate, up]) in rows {
            for i in 0..HALF {
                gate[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
            }
        }
    }

    fn swiglu_row_backward(gate: &mut [f32], up: &mut [f32], dy: &[f32]) {
        for ((g, u), dy) in gate.iter_mut().zip(up).zip(dy) {
            let sigmoid = 1.0 / (1.0 + exp(-*g));
            let silu = *g * sigmoid;
            let slope = sigmoid * (1.0 + *g * (1.0 - sigmoid));
            (*g, *u) = (dy * *u * slope, dy * silu);
        }
    }

    /// a += b.
    pub(crate) fn add_assign_slice(a: &mut [f32], b: &[f32]) {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
    }
}

/// `out = silu(gate) · up` for rows `[gate | up]` of twice `width`.
pub(crate) fn swiglu(par: Par, gate_up: &[f32], width: usize, out: &mut [f32]) {
    par.rows(out, width, SERIAL_ELEMENTS / 4, |first, out| {
        for (row, out) in gate_up[first * 2 * width..]
            .chunks_exact(2 * width)
            .zip(out.chunks_exact_mut(width))
        {
            let (gate, up) = row.split_at(width);
            swiglu_row(gate, up, out);
        }
    });
}

/// Backward of [`swiglu`] in place: `gate_up` becomes its own gradient.
pub(crate) fn swiglu_backward(par: Par, gate_up: &mut [f32], width: usize, dy: &[f32]) {
    par.rows(gate_up, 2 * width, SERIAL_ELEMENTS / 4, |first, rows| {
        for (row, dy) in rows
            .chunks_exact_mut(2 * width)
            .zip(dy[first * width..].chunks_exact(width))
        {
            let (gate, up) = row.split_at_mut(width);
            swiglu_row_backward(gate, up, dy);
        }
    });
}

/// `a += b`.
pub(crate) fn add_assign(par: Par, a: &mut [f32], b: &[f32]) {
    par.rows(a, 1, SERIAL_ELEMENTS, |first, a| add_assign_slice(a, &b[first..]));
}

/// Adds the column sums of `dy` (columns `columns` of rows of `width`) to `db`, rows in order.
pub(crate) fn bias_backward(dy: &[f32], width: usize, columns: std::ops::Range<usize>, db: &mut [f32]) {
    dy.chunks_exact(width)
        .for_each(|row| add_assign_slice(db, &row[columns.clone()]));
}

/// Rows of the embedding table.
#[derive(Debug)]
pub(crate) enum Embedding {
    /// A table of its own, `[vocab, hidden]`.
    Table(Vec<f32>),
    /// The columns of the packed output projection.
    Tied,
}

/// `out = table[tokens]`, `[tokens, hidden]`.
pub(crate) fn embed(par: Par, table: &Embedding, head: &Matrix, tokens: &[u32], hidden: usize, out: &mut [f32]) {
    par.rows(out, hidden, SERIAL_ELEMENTS / 4, |first, out| {
        for (row, token) in out.chunks_exact_mut(hidden).zip(&tokens[first..]) {
            let token = *token as usize;
            match table {
                Embedding::Table(table) => row.copy_from_slice(&table[token * hidden..][..hidden]),
                Embedding::Tied => head.row_into(token, row),
            }
        }
    });
}

/// Adds each row of `dx` to the gradient of its token's embedding, rows in order.
pub(crate) fn embed_backward(tokens: &[u32], dx: &[f32], hidden: usize, gradient: &mut [f32]) {
    for (token, dx) in tokens.iter().zip(dx.chunks_exact(hidden)) {
        add_assign_slice(&mut gradient[*token as usize * hidden..][..hidden], dx);
    }
}
