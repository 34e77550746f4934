//! Metric families of one moment, built from numbers that are counted elsewhere.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use svs_engine::Buckets;

/// Families by name, each with the labels of the server.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    model_name: &'a str,
    families: BTreeMap<String, MetricFamily>,
}

/// Label and value.
pub(super) type Label<'a> = (&'a str, &'a str);

impl<'a> Sheet<'a> {
    pub(super) fn new(model_name: &'a str) -> Self {
        Self {
            model_name,
            families: BTreeMap::new(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.families.contains_key(name)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauge_of(name, help, &[], value);
    }

    pub(super) fn gauge_of(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        self.put(name, help, MetricType::GAUGE, labels, metric);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counter_of(name, help, &[], value as f64);
    }

    pub(super) fn counter_of(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        self.put(name, help, MetricType::COUNTER, labels, metric);
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, buckets: &Buckets) {
        let counted = buckets.cumulative().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(counted.collect());
        histogram.set_sample_count(buckets.total());
        histogram.set_sample_sum(buckets.sum());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.put(name, help, MetricType::HISTOGRAM, &[], metric);
    }

    fn put(&mut self, name: &str, help: &str, kind: MetricType, labels: &[Label<'_>], mut metric: Metric) {
        let common = [("engine", "0"), ("model_name", self.model_name)];
        let pairs = common.iter().chain(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).into());
            pair.set_value((*value).into());
            pair
        });
        metric.set_label(pairs.collect());
        let family = self.families.entry(name.into()).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.into());
            family.set_help(help.into());
            family.set_field_type(kind);
            family
        });
        let mut metrics = family.take_metric();
        metrics.push(metric);
        family.set_metric(metrics);
    }

    /// The families by name.
    pub(super) fn families(self) -> Vec<MetricFamily> {
        self.families.into_values().collect()
    }
}
