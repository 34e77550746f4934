//! Graders that ask others over HTTP: the endpoints of the configuration, and who carries inquiries to them. Knows addresses,
//! keys and time; what is asked and what replies are worth is the verifier's.

mod cache;
mod config;
mod endpoint;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use svs_verifier::inquiry::{Inquiry, Messenger};
use svs_verifier::spec::SpecError;
use svs_verifier::{Case, Grader, Scored};

pub use config::EndpointConfig;
pub(super) use config::check;
use endpoint::Endpoint;

/// Endpoints by name.
pub type EndpointConfigs = BTreeMap<String, EndpointConfig>;

/// The endpoints of a run.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<String, Arc<Endpoint>>);

impl Endpoints {
    /// # Errors
    /// The environment lacks a key.
    pub(super) fn new(configs: &EndpointConfigs) -> Result<Self, SpecError> {
        let made = configs.iter().map(|(name, config)| match Endpoint::new(name, config) {
            Ok(endpoint) => Ok((name.clone(), Arc::new(endpoint))),
            Err(why) => Err(refuse(name, why)),
        });
        Ok(Self(made.collect::<Result<_, _>>()?))
    }
}

impl Messenger for Endpoints {
    fn grader(&self, inquiry: Inquiry) -> Result<Box<dyn Grader>, SpecError> {
        let name = inquiry.endpoint();
        let endpoint = self
            .0
            .get(name)
            .ok_or_else(|| refuse(name, "is not declared in `reward.endpoints`".into()))?;
        Ok(Box::new(Asking {
            endpoint: Arc::clone(endpoint),
            inquiry,
        }))
    }
}

fn refuse(endpoint: &str, why: String) -> SpecError {
    SpecError::Endpoint {
        endpoint: endpoint.to_owned(),
        why,
    }
}

/// A grader that asks an endpoint.
#[derive(Debug)]
struct Asking {
    endpoint: Arc<Endpoint>,
    inquiry: Inquiry,
}

impl Grader for Asking {
    fn grade(&self, case: &Case<'_>) -> Scored {
        let (body, steps) = match self.inquiry.body(case, self.endpoint.config.max_request_bytes) {
            Ok(asked) => asked,
            Err(decided) => return decided,
        };
        let read = |reply: &[u8]| self.inquiry.read(reply);
        match self
            .endpoint
            .ask(self.inquiry.path(), &body, &self.inquiry.reading(), read)
        {
            Ok(finding) => finding.scored(steps),
            Err(why) => Scored::unanswered(why, steps),
        }
    }
}
