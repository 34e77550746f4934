//! How a choice grows from its events.

use crate::request::{Choice, FinishReason, ForkOrigin, TokenEvent, VersionSpan};

impl Choice {
    /// A choice without tokens; until it ends it counts as aborted.
    #[must_use]
    pub fn unfinished(index: u32) -> Self {
        Self {
            index,
            origin: None,
            tokens: Vec::new(),
            logprobs: Vec::new(),
            raw_logprobs: Vec::new(),
            thresholds: Vec::new(),
            top: Vec::new(),
            text: String::new(),
            finish_reason: FinishReason::Abort,
            stop: None,
            spans: Vec::new(),
            mixed_kv: false,
            forced: Vec::new(),
            aborted: None,
            tapped: Vec::new(),
        }
    }

    /// Appends a token.
    pub fn push(&mut self, event: &TokenEvent) {
        let at = u32::try_from(self.tokens.len()).expect("a sequence fits u32");
        match self.spans.last_mut() {
            Some(span) if span.version == event.version => span.end = at + 1,
            _ => self.spans.push(VersionSpan {
                version: event.version,
                start: at,
                end: at + 1,
            }),
        }
        self.tokens.push(event.token);
        self.logprobs.push(event.logprob);
        self.raw_logprobs.push(event.raw_logprob);
        self.thresholds.push(event.threshold);
        self.top.push(event.top.clone());
        self.text.push_str(&event.text);
        self.mixed_kv |= event.mixed_kv;
        self.forced.push(event.forced);
    }

    /// A choice that begins with the first `at` tokens of this one, whose text is `text`.
    #[must_use]
    pub fn forked(&self, index: u32, at: usize, text: String) -> Self {
        let end = u32::try_from(at).expect("a sequence fits u32");
        let spans = self.spans.iter().filter(|span| span.start < end);
        Self {
            origin: Some(ForkOrigin { choice: self.index, at }),
            tokens: self.tokens[..at].to_vec(),
            logprobs: self.logprobs[..at].to_vec(),
            raw_logprobs: self.raw_logprobs[..at].to_vec(),
            thresholds: self.thresholds[..at].to_vec(),
            top: self.top[..at].to_vec(),
            text,
            spans: spans
                .map(|span| VersionSpan {
                    end: span.end.min(end),
                    ..*span
                })
                .collect(),
            mixed_kv: self.mixed_kv,
            forced: self.forced[..at].to_vec(),
            ..Self::unfinished(index)
        }
    }
}
