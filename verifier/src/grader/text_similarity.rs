//! `text_similarity`: measures between two texts, each as its reference implementation computes it.

use super::{Case, Fault, Grader, Scored, Sides, Stopped, within};
use crate::budget::Budget;
use crate::similarity::ngrams::{LONGEST, bleu, gleu, rouge_n};
use crate::similarity::tokens::{Vocabulary, characters, words_between_spaces, words_of_ascii};
use crate::similarity::{harmonic, subsequence};
use crate::spec::{Metric, SpecError, TextSimilaritySpec};

#[derive(Debug)]
pub(crate) struct TextSimilarity {
    sides: Sides,
    measure: Measure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Fuzzy,
    Bleu,
    Gleu,
    Rouge(usize),
    RougeL,
}

impl Measure {
    fn of(metric: Metric) -> Result<Self, SpecError> {
        let refuse = |metric, why| Err(SpecError::Metric { metric, why });
        match metric {
            Metric::FuzzyMatch => Ok(Self::Fuzzy),
            Metric::Bleu => Ok(Self::Bleu),
            Metric::Gleu => Ok(Self::Gleu),
            Metric::Rouge1 => Ok(Self::Rouge(1)),
            Metric::Rouge2 => Ok(Self::Rouge(2)),
            Metric::Rouge3 => Ok(Self::Rouge(3)),
            Metric::Rouge4 => Ok(Self::Rouge(4)),
            Metric::Rouge5 => Ok(Self::Rouge(5)),
            Metric::RougeL => Ok(Self::RougeL),
            Metric::Meteor => refuse("meteor", "its synonyms need WordNet, which is not part of this program"),
            Metric::Cosine => refuse("cosine", "it needs a model that embeds texts; pure graders have none"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fuzzy => "fuzzy_match",
            Self::Bleu => "bleu",
            Self::Gleu => "gleu",
            Self::Rouge(_) => "rouge_n",
            Self::RougeL => "rouge_l",
        }
    }

    /// What the measure compares: characters, words as they are spaced, or words of ASCII letters and digits.
    fn tokens(self, text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
        match self {
            Self::Fuzzy => characters(text),
            Self::Bleu | Self::Gleu => words_between_spaces(text, vocabulary),
            Self::Rouge(_) | Self::RougeL => words_of_ascii(text, vocabulary),
        }
    }

    /// Fewest tokens of a reference that any text can be like. A shorter one would give 0 to every response.
    fn least(self) -> usize {
        match self {
            Self::Fuzzy | Self::Gleu | Self::RougeL => 1,
            Self::Bleu => LONGEST,
            Self::Rouge(n) => n,
        }
    }

    /// Steps to compare so many tokens with a reference.
    fn cost(self, reference: &[u32], input: usize) -> u64 {
        match self {
            Self::Fuzzy | Self::RougeL => subsequence::cost(reference, input),
            Self::Bleu | Self::Gleu => 4 * (reference.len() + input) as u64,
            Self::Rouge(_) => (reference.len() + input) as u64,
        }
    }

    fn value(self, reference: &[u32], input: &[u32]) -> f64 {
        match self {
            Self::Fuzzy => {
                let common = subsequence::common_length(reference, input);
                2.0 * common as f64 / (reference.len() + input.len()) as f64
            }
            Self::Bleu => bleu(reference, input),
            Self::Gleu => gleu(reference, input),
            Self::Rouge(n) => rouge_n(reference, input, n),
            Self::RougeL => harmonic(
                subsequence::common_length(reference, input) as u64,
                input.len() as u64,
                reference.len() as u64,
            ),
        }
    }
}

impl TextSimilarity {
    pub(crate) fn new(spec: &TextSimilaritySpec) -> Result<Self, SpecError> {
        Ok(Self {
            sides: Sides::parse(&spec.input, &spec.reference)?,
            measure: Measure::of(spec.evaluation_metric)?,
        })
    }
}

impl Grader for TextSimilarity {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget: &mut Budget| {
            let (input, reference) = self.sides.resolve(case, budget)?;
            let mut vocabulary = Vocabulary::default();
            let reference = self.measure.tokens(&reference, &mut vocabulary);
            if reference.len() < self.measure.least() {
                return Err(Fault::Empty.into());
            }
            // A response like the reference must fit, or the fault is the reference's.
            if self.measure.cost(&reference, reference.len()) > case.max_steps / 2 {
                return Err(Fault::TooLong.into());
            }
            let input = self.measure.tokens(&input, &mut vocabulary);
            let steps = self.measure.cost(&reference, input.len());
            budget.charge(steps).map_err(|_| Stopped::OVER_BUDGET)?;
            Ok((self.measure.value(&reference, &input), self.measure.name()))
        })
    }
}
