//! Sums, products, powers and transposes of matrices.

use super::evaluate::{Reading, fraction, negative, value};
use super::fraction::Fraction;
use super::value::{Scalar, Value};
use crate::budget::{Budget, Stop};
use crate::text::syntax::Expr;

/// Largest power of a matrix that is multiplied out.
const MAX_POWER: i64 = 64;

type Rows = Vec<Vec<Fraction>>;

/// A factor or summand.
enum Operand {
    Number(Fraction),
    Matrix(Rows),
}

/// Whether a matrix is an operand of arithmetic here, not the whole expression.
pub(super) fn holds_matrix(expr: &Expr) -> bool {
    let inside = |e: &Expr| matches!(e, Expr::Matrix { determinant: false, .. }) || holds_matrix(e);
    match expr {
        Expr::Sum(parts) => parts.iter().any(|(_, e)| inside(e)),
        Expr::Product(parts) => parts.iter().any(|(_, e)| inside(e)),
        Expr::Power(base, _) => inside(base),
        _ => false,
    }
}

/// The matrix that arithmetic with matrices gives.
pub(super) fn evaluate(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Value, Stop> {
    let Operand::Matrix(rows) = operand(expr, reading, budget)? else {
        return Err(Stop::Malformed);
    };
    Ok(Value::Matrix {
        determinant: false,
        rows: rows
            .into_iter()
            .map(|row| row.into_iter().map(Value::from).collect())
            .collect(),
    })
}

fn operand(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Operand, Stop> {
    budget.charge(1)?;
    match expr {
        Expr::Matrix { determinant: false, .. } => match value(expr, reading, budget)? {
            Value::Matrix { rows, .. } => plain(rows).map(Operand::Matrix).ok_or(Stop::Malformed),
            _ => Err(Stop::Malformed),
        },
        Expr::Sum(parts) if holds_matrix(expr) => {
            let mut total = None;
            for (sign, part) in parts {
                let Operand::Matrix(rows) = operand(part, reading, budget)? else {
                    return Err(Stop::Undefined);
                };
                let factor = Fraction::from(if negative(*sign, reading) { -1 } else { 1 });
                let rows = scaled(&rows, &factor, budget)?;
                total = Some(match total {
                    None => rows,
                    Some(other) => added(&other, &rows, budget)?,
                });
            }
            total.map(Operand::Matrix).ok_or(Stop::Malformed)
        }
        Expr::Product(parts) if holds_matrix(expr) => {
            let mut product = Operand::Number(Fraction::from(1));
            for (inverse, part) in parts {
                let factor = match operand(part, reading, budget)? {
                    Operand::Number(number) if *inverse => Operand::Number(number.inverse(budget)?),
                    Operand::Matrix(_) if *inverse => return Err(Stop::Malformed),
                    other => other,
                };
                product = multiplied(product, factor, budget)?;
            }
            Ok(product)
        }
        Expr::Power(base, exponent) if holds_matrix(expr) => power(base, exponent, reading, budget),
        _ => fraction(expr, reading, budget).map(Operand::Number),
    }
}

/// Rows of the largest determinant that is multiplied out.
const MAX_DETERMINANT: usize = 5;

/// The determinant of a small square matrix of plain expressions, if it is wanted.
pub(super) fn determinant(
    wanted: bool,
    rows: &[Vec<Expr>],
    reading: Reading<'_>,
    budget: &mut Budget,
) -> Result<Option<Fraction>, Stop> {
    if !wanted || rows.is_empty() || rows.len() > MAX_DETERMINANT || rows.iter().any(|row| row.len() != rows.len()) {
        return Ok(None);
    }
    let cells: Result<Rows, Stop> = rows
        .iter()
        .map(|row| row.iter().map(|cell| fraction(cell, reading, budget)).collect())
        .collect();
    match cells {
        Ok(cells) => minor(&cells, &(0..cells.len()).collect::<Vec<_>>(), budget).map(Some),
        Err(Stop::Malformed) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// The determinant of the last rows in some of their columns, along the first of these rows.
fn minor(cells: &Rows, columns: &[usize], budget: &mut Budget) -> Result<Fraction, Stop> {
    budget.charge(1)?;
    let Some(row) = cells.get(cells.len() - columns.len()) else {
        return Ok(Fraction::from(1));
    };
    let mut sum = Fraction::from(0);
    for (place, column) in columns.iter().enumerate() {
        let rest: Vec<usize> = columns.iter().copied().filter(|c| c != column).collect();
        let term = row[*column].mul(&minor(cells, &rest, budget)?, budget)?;
        sum = if place % 2 == 0 {
            sum.add(&term, budget)?
        } else {
            sum.sub(&term, budget)?
        };
    }
    Ok(sum)
}

/// The inverse of a small square matrix: its cofactors, transposed, over its determinant.
fn inverse(cells: &Rows, budget: &mut Budget) -> Result<Rows, Stop> {
    let size = cells.len();
    if size > MAX_DETERMINANT || cells.iter().any(|row| row.len() != size) {
        return Err(Stop::Malformed);
    }
    let others = |left_out: usize| (0..size).filter(move |i| *i != left_out);
    let all: Vec<usize> = (0..size).collect();
    let scale = minor(cells, &all, budget)?.inverse(budget)?;
    let mut inverse = Vec::new();
    for row in 0..size {
        let mut cells_of_row = Vec::new();
        for column in 0..size {
            // The cofactor of the cell across the diagonal.
            let rest: Rows = others(column).map(|r| cells[r].clone()).collect();
            let cofactor = minor(&rest, &others(row).collect::<Vec<_>>(), budget)?;
            let signed = if (row + column) % 2 == 0 {
                cofactor
            } else {
                cofactor.neg(budget)?
            };
            cells_of_row.push(signed.mul(&scale, budget)?);
        }
        inverse.push(cells_of_row);
    }
    Ok(inverse)
}

/// A whole power, or the transpose for the letter T.
fn power(base: &Expr, exponent: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Operand, Stop> {
    let Operand::Matrix(rows) = operand(base, reading, budget)? else {
        return Err(Stop::Malformed);
    };
    if matches!(exponent, Expr::Symbol(name) if name == "T") {
        let width = rows.first().map_or(0, Vec::len);
        let column = |c: usize| rows.iter().map(|row| row[c].clone()).collect();
        return Ok(Operand::Matrix((0..width).map(column).collect()));
    }
    let exponent = fraction(exponent, reading, budget)?.as_i64();
    let exponent = exponent
        .filter(|e| (1..=MAX_POWER).contains(&e.abs()))
        .ok_or(Stop::Malformed)?;
    let rows = if exponent < 0 { inverse(&rows, budget)? } else { rows };
    let mut product = Operand::Matrix(rows.clone());
    for _ in 1..exponent.abs() {
        product = multiplied(product, Operand::Matrix(rows.clone()), budget)?;
    }
    Ok(product)
}

/// The cells, if all are plain expressions in rows of one length.
fn plain(rows: Vec<Vec<Value>>) -> Option<Rows> {
    let width = rows.first()?.len();
    let cell = |value| match value {
        Value::Scalar(Scalar {
            value,
            percent: false,
            unfinished: false,
            ..
        }) => Some(value),
        _ => None,
    };
    let rows: Option<Rows> = rows
        .into_iter()
        .map(|row| row.into_iter().map(cell).collect())
        .collect();
    rows.filter(|rows| rows.iter().all(|row| row.len() == width))
}

fn scaled(rows: &Rows, factor: &Fraction, budget: &mut Budget) -> Result<Rows, Stop> {
    rows.iter()
        .map(|row| row.iter().map(|cell| cell.mul(factor, budget)).collect())
        .collect()
}

fn added(a: &Rows, b: &Rows, budget: &mut Budget) -> Result<Rows, Stop> {
    if a.len() != b.len() || a[0].len() != b[0].len() {
        return Err(Stop::Undefined);
    }
    a.iter()
        .zip(b)
        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| x.add(y, budget)).collect())
        .collect()
}

fn multiplied(a: Operand, b: Operand, budget: &mut Budget) -> Result<Operand, Stop> {
    let (a, b) = match (a, b) {
        (Operand::Number(a), Operand::Number(b)) => return a.mul(&b, budget).map(Operand::Number),
        (Operand::Number(factor), Operand::Matrix(rows)) | (Operand::Matrix(rows), Operand::Number(factor)) => {
            return scaled(&rows, &factor, budget).map(Operand::Matrix);
        }
        (Operand::Matrix(a), Operand::Matrix(b)) => (a, b),
    };
    if a[0].len() != b.len() {
        return Err(Stop::Undefined);
    }
    let cell = |row: &[Fraction], column: usize, budget: &mut Budget| {
        let mut sum = Fraction::from(0);
        for (x, other) in row.iter().zip(&b) {
            sum = sum.add(&x.mul(&other[column], budget)?, budget)?;
        }
        Ok(sum)
    };
    let product: Result<Rows, Stop> = a
        .iter()
        .map(|row| (0..b[0].len()).map(|column| cell(row, column, budget)).collect())
        .collect();
    product.map(Operand::Matrix)
}
