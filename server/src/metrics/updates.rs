//! Updates of weights by outside trainers, under vLLM's names.

use std::time::Instant;

use prometheus::{Histogram, HistogramVec, IntGauge, IntGaugeVec};

use super::Maker;

/// vLLM's bucket bounds, seconds.
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

#[derive(Debug, Clone)]
pub(super) struct Operations {
    durations: HistogramVec,
    in_flight: IntGaugeVec,
}

/// A step of an update under way; dropping it ends it.
#[derive(Debug)]
pub struct Operation {
    began: Instant,
    duration: Histogram,
    in_flight: IntGauge,
}

impl Operations {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let durations = maker.histogram(
            "rl_weight_update_operation_duration_seconds",
            "Duration of a step of an update of weights from outside, seconds.",
            SECONDS,
        );
        let in_flight = maker.opts(
            &format!("{}rl_weight_update_operations_in_flight", maker.prefix),
            "Steps of updates of weights from outside under way.",
        );
        let operations = Self {
            durations: maker.register(HistogramVec::new(durations, &["operation"])),
            in_flight: maker.register(IntGaugeVec::new(in_flight, &["operation"])),
        };
        for name in ["start", "update", "finish"] {
            operations.durations.with_label_values(&[name]);
            operations.in_flight.with_label_values(&[name]);
        }
        operations
    }

    pub(super) fn begin(&self, name: &str) -> Operation {
        let in_flight = self.in_flight.with_label_values(&[name]);
        in_flight.inc();
        Operation {
            began: Instant::now(),
            duration: self.durations.with_label_values(&[name]),
            in_flight,
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.duration.observe(self.began.elapsed().as_secs_f64());
        self.in_flight.dec();
    }
}
