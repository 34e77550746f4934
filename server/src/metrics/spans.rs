//! What became of the spans of [`crate::otlp`].

use prometheus::IntCounterVec;

use super::Maker;

/// Why a span was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// So many were waiting already.
    QueueFull,
    /// The collector could not be reached, did not answer in time, or asked too often to be tried again.
    NotSent,
    /// The collector does not want it.
    Refused,
    /// The server stopped before it was sent.
    Shutdown,
}

impl Dropped {
    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NotSent => "not_sent",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Spans by what became of them. Nothing is shown before [`SpanCounts::show`].
#[derive(Debug, Clone)]
pub struct SpanCounts {
    sent: IntCounterVec,
    dropped: IntCounterVec,
}

impl SpanCounts {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let sent = maker.opts(
            "svs_otlp_spans_sent_total",
            "Spans that the OpenTelemetry collector took.",
        );
        let dropped = maker.opts(
            "svs_otlp_spans_dropped_total",
            "Spans that did not reach the collector, by reason.",
        );
        Self {
            sent: maker.register(IntCounterVec::new(sent, &[])),
            dropped: maker.register(IntCounterVec::new(dropped, &["reason"])),
        }
    }

    /// Counts from zero for all to see.
    pub fn show(&self) {
        self.sent(0);
        for why in [
            Dropped::QueueFull,
            Dropped::NotSent,
            Dropped::Refused,
            Dropped::Shutdown,
        ] {
            self.dropped(why, 0);
        }
    }

    /// Counts spans that a collector took.
    pub fn sent(&self, count: usize) {
        let none: [&str; 0] = [];
        self.sent.with_label_values(&none).inc_by(count as u64);
    }

    /// Counts spans that none did.
    pub fn dropped(&self, why: Dropped, count: usize) {
        self.dropped.with_label_values(&[why.name()]).inc_by(count as u64);
    }
}
