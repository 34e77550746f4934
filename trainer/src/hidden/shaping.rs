//! Advantages shaped by how a response's effective rank compares with what was usual.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dynamics::dynamics;
use super::{Dynamics, Response};
use crate::objective::Advantage;
use crate::trajectory::Trajectory;

/// Deviations are clamped to this.
const DEVIATION_CLAMP: f64 = 5.0;
/// Added to the mean that a deviation is divided by.
const EPSILON: f64 = 1e-8;

/// Which tokens of a response get its bonus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of them.
    #[default]
    Response,
    /// The last one, as the published code does.
    LastToken,
}

/// `[algorithm.hidden_shaping]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HiddenShaping {
    /// Measure the hidden states of every rollout, and shape its advantage.
    pub enabled: bool,
    /// Tokens from one prefix to the next whose rank is measured.
    pub stride: usize,
    /// Last tokens of a response that the prefixes are of.
    pub window: usize,
    /// Weight of a batch in the running means.
    pub ema: f64,
    /// Sharpness of the choice between exploring and exploiting.
    pub gain: f64,
    /// Weight of the bonus.
    pub weight: f64,
    /// An advantage grows by at most its size over this, >= 1.
    pub kappa: f64,
    /// Which tokens get the bonus.
    pub scope: Scope,
}

impl Default for HiddenShaping {
    fn default() -> Self {
        Self {
            enabled: false,
            stride: 40,
            window: 512,
            ema: 0.3,
            gain: 2.0,
            weight: 1.0,
            kappa: 2.0,
            scope: Scope::Response,
        }
    }
}

/// Running means over batches: rank, velocity, acceleration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Means {
    rank: f64,
    velocity: f64,
    acceleration: f64,
}

impl Means {
    /// The means after a batch; `None` for one that measured nothing. The first batch is the mean itself, and shapes
    /// nothing: against a mean of 0 every deviation would be the largest.
    #[must_use]
    pub fn after(before: Option<Self>, batch: &[Dynamics], ema: f64) -> Option<Self> {
        if batch.is_empty() {
            return before;
        }
        let mean = |of: fn(&Dynamics) -> f64| batch.iter().map(of).sum::<f64>() / batch.len() as f64;
        let now = Self {
            rank: mean(|one| one.rank),
            velocity: mean(|one| one.velocity),
            acceleration: mean(|one| one.acceleration),
        };
        let Some(before) = before else { return Some(now) };
        let mix = |before: f64, now: f64| (1.0 - ema) * before + ema * now;
        Some(Self {
            rank: mix(before.rank, now.rank),
            velocity: mix(before.velocity, now.velocity),
            acceleration: mix(before.acceleration, now.acceleration),
        })
    }
}

/// The bonuses of the rows of an update.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bonuses {
    rows: f64,
    /// Sum of them, whatever their sign.
    sum: f64,
    /// Rows of which less than the bonus was added, because the advantage is small.
    clipped: f64,
}

impl Bonuses {
    fn add(&mut self, bonus: f64, clipped: bool) {
        self.rows += 1.0;
        self.sum += bonus;
        self.clipped += f64::from(u8::from(clipped));
    }

    /// Adds their mean and the share of clipped ones to `metrics`; nothing if no row was shaped.
    pub fn metrics(&self, metrics: &mut BTreeMap<String, f64>) {
        if self.rows > 0.0 {
            metrics.insert("hidden/bonus_mean".into(), self.sum / self.rows);
            metrics.insert("hidden/bonus_clipped".into(), self.clipped / self.rows);
        }
    }
}

impl HiddenShaping {
    /// The dotted names of the values out of range, and what is allowed.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let ranges = [
            ("hidden_shaping.stride", self.stride as f64, 1.0, 1e6),
            ("hidden_shaping.window", self.window as f64, 2.0, 4096.0),
            ("hidden_shaping.ema", self.ema, 0.0, 1.0),
            ("hidden_shaping.gain", self.gain, 0.0, 1e3),
            ("hidden_shaping.weight", self.weight, 0.0, 1e3),
            ("hidden_shaping.kappa", self.kappa, 1.0, 1e6),
        ];
        let outside = |&(_, value, low, high): &(_, f64, f64, f64)| !(low..=high).contains(&value);
        let said = |(field, value, low, high)| (field, format!("{value} is outside {low}..={high}"));
        ranges.into_iter().filter(outside).map(said).collect()
    }

    /// What the hidden states of a response did.
    #[must_use]
    pub fn measure(&self, response: &Response) -> Dynamics {
        dynamics(&response.states, response.width, self.stride, self.window)
    }

    /// The bonus of a response: β·tanh(d_rank) + (1 − β)·tanh(d_velocity), β = σ(gain·d_acceleration), with d the relative
    /// deviation from the running mean.
    ///
    /// # Source
    /// VERL (repository hf618/VERL): the auxiliary signal.
    #[must_use]
    pub fn bonus(&self, found: &Dynamics, usual: &Means) -> f64 {
        let deviation = |found: f64, usual: f64| {
            let relative = (found - usual) / (usual.abs() + EPSILON);
            relative.clamp(-DEVIATION_CLAMP, DEVIATION_CLAMP)
        };
        let explore = 1.0 / (1.0 + (-self.gain * deviation(found.acceleration, usual.acceleration)).exp());
        let rank = deviation(found.rank, usual.rank).tanh();
        let velocity = deviation(found.velocity, usual.velocity).tanh();
        self.weight * (explore * rank + (1.0 - explore) * velocity)
    }

    /// A + min(max(bonus, 0), |A|/kappa): never changes the sign.
    #[must_use]
    pub fn shape(&self, advantage: f64, bonus: f64) -> f64 {
        advantage + bonus.max(0.0).min(self.most(advantage))
    }

    /// The most that an advantage grows by.
    fn most(&self, advantage: f64) -> f64 {
        advantage.abs() / self.kappa
    }

    /// The advantages of a group's members, shaped where their states were measured; the bonuses are added to `bonuses`.
    #[must_use]
    pub fn shape_group(
        &self,
        advantages: &[Option<f64>],
        members: &[Trajectory],
        usual: &Means,
        bonuses: &mut Bonuses,
    ) -> Vec<Option<Advantage>> {
        let one = |(advantage, member): (&Option<f64>, &Trajectory)| {
            let plain = (*advantage)?;
            let Some(found) = member.hidden else {
                return Some(Advantage::from(plain));
            };
            let bonus = self.bonus(&found, usual);
            bonuses.add(bonus, bonus > self.most(plain));
            Some(self.scoped(plain, self.shape(plain, bonus)))
        };
        advantages.iter().zip(members).map(one).collect()
    }

    /// The advantages of a response's tokens.
    fn scoped(&self, plain: f64, shaped: f64) -> Advantage {
        match self.scope {
            Scope::Response => Advantage::from(shaped),
            Scope::LastToken => Advantage {
                every: plain,
                last: shaped,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rank: f64, velocity: f64, acceleration: f64) -> Dynamics {
        Dynamics {
            rank,
            velocity,
            acceleration,
        }
    }

    #[test]
    fn bonus_and_shape_by_hand() {
        let shaping = HiddenShaping::default();
        let usual = Means::after(None, &[of(10.0, 2.0, -0.5), of(30.0, 2.0, -0.5)], 0.3).expect("a batch");
        assert_eq!(
            usual,
            Means {
                rank: 20.0,
                velocity: 2.0,
                acceleration: -0.5
            }
        );
        // Deviations: rank 0.5, velocity -0.25, acceleration 1.0 (from -0.5 to 0).
        let beta = 1.0 / (1.0 + (-2.0f64).exp());
        let wanted = beta * 0.5f64.tanh() + (1.0 - beta) * (-0.25f64).tanh();
        let bonus = shaping.bonus(&of(30.0, 1.5, 0.0), &usual);
        assert!((bonus - wanted).abs() < 1e-7, "{bonus} is not {wanted}");
        // Far off is clamped: tanh(5), tanh(-5), β = σ(10).
        let beta = 1.0 / (1.0 + (-10.0f64).exp());
        let far = shaping.bonus(&of(1e9, -1e9, 1e9), &usual);
        assert!((far - (2.0 * beta - 1.0) * 5.0f64.tanh()).abs() < 1e-12);
        for (advantage, bonus, wanted) in [
            (1.0, 0.3, 1.3),
            (1.0, 0.9, 1.5),
            (-1.0, 0.3, -0.7),
            (-1.0, 0.9, -0.5),
            (0.0, 0.9, 0.0),
            (1.0, -0.9, 1.0),
        ] {
            assert_eq!(shaping.shape(advantage, bonus), wanted);
        }
        for (scope, every, last) in [(Scope::Response, 1.5, 1.5), (Scope::LastToken, 1.0, 1.5)] {
            let shaping = HiddenShaping { scope, ..shaping };
            assert_eq!(shaping.scoped(1.0, 1.5), Advantage { every, last }, "{scope:?}");
        }
    }

    #[test]
    fn means_run() {
        let first = Means::after(None, &[of(10.0, 1.0, 0.0)], 0.3);
        assert_eq!(Means::after(first, &[], 0.3), first);
        let second = Means::after(first, &[of(20.0, 2.0, 1.0)], 0.3).expect("a batch");
        assert!((second.rank - 13.0).abs() < 1e-12 && (second.velocity - 1.3).abs() < 1e-12);
        assert!((second.acceleration - 0.3).abs() < 1e-12);
    }

    #[test]
    fn ranges_are_checked_by_name() {
        let bad = HiddenShaping {
            kappa: 0.5,
            ..HiddenShaping::default()
        };
        assert_eq!(bad.faults()[0].0, "hidden_shaping.kappa");
        assert_eq!(HiddenShaping::default().faults(), []);
    }
}
