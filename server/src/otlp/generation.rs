//! What the span of a request says of what it had generated, under the names that vLLM gives to it.

use std::collections::BTreeSet;

use super::request::RequestSpan;
use super::span::Span;
use crate::metrics::finish_name;
use crate::reply::usage;
use crate::session::Session;

/// The name that vLLM's spans of requests have.
const NAME: &str = "llm_request";

/// Where the time of a request of one or several choices went, seconds; what is not known is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Timing {
    /// From submission to the first step of any choice.
    pub(crate) queue: Option<f64>,
    /// From submission to the first token of any choice.
    pub(crate) first_token: Option<f64>,
    /// From the first step to the first token.
    pub(crate) prefill: Option<f64>,
    /// From the first token to the last of all choices.
    pub(crate) decode: Option<f64>,
    /// From the first step to the last token.
    pub(crate) inference: Option<f64>,
    /// From submission until now.
    pub(crate) whole: f64,
}

impl RequestSpan {
    /// Tells of a session that has ended, whichever way.
    pub(crate) fn generated(&self, session: &Session, timing: Timing) {
        self.change(|span| describe(span, session, timing));
    }
}

fn describe(span: &mut Span, session: &Session, timing: Timing) {
    let (plan, counted) = (&session.plan, usage(session));
    span.name = NAME.into();
    span.set("gen_ai.request.id", plan.id.as_str());
    span.set("gen_ai.request.model", plan.model.as_str());
    span.set("gen_ai.response.model", plan.model.as_str());
    span.set("gen_ai.request.temperature", plan.sampling.temperature);
    span.set("gen_ai.request.top_p", plan.sampling.top_p);
    let max_tokens = plan.prompts.iter().map(|prompt| prompt.max_tokens).max();
    span.set("gen_ai.request.max_tokens", max_tokens.unwrap_or(0));
    span.set("gen_ai.request.n", plan.n);
    span.set("gen_ai.usage.num_sequences", session.choices.len());
    span.set("gen_ai.usage.prompt_tokens", counted.prompt_tokens);
    span.set("gen_ai.usage.completion_tokens", counted.completion_tokens);
    let finished = session.choices.iter().filter(|sampled| sampled.finished);
    let reasons: BTreeSet<&'static str> = finished
        .map(|sampled| finish_name(sampled.choice.finish_reason))
        .collect();
    span.set("gen_ai.response.finish_reasons", Vec::from_iter(reasons));
    for (name, seconds) in [
        ("gen_ai.latency.time_in_queue", timing.queue),
        ("gen_ai.latency.time_to_first_token", timing.first_token),
        ("gen_ai.latency.time_in_model_prefill", timing.prefill),
        ("gen_ai.latency.time_in_model_decode", timing.decode),
        ("gen_ai.latency.time_in_model_inference", timing.inference),
        ("gen_ai.latency.e2e", Some(timing.whole)),
    ] {
        if let Some(seconds) = seconds {
            span.set(name, seconds);
        }
    }
    span.set("svs.weight_version", session.weight_version(&session.choices));
    if let Some(lease) = &session.lease {
        span.set("svs.session.id", lease.session().id.as_str());
    }
}
