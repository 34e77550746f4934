//! `text_similarity`: measures between two texts, each as its reference implementation computes it.

use super::{Case, Fault, Grader, Scored, Sides, Stopped, within};
use crate::budget::Budget;
use crate::similarity::cosine::cosine;
use crate::similarity::meteor::meteor;
use crate::similarity::ngrams::{LONGEST, bleu, gleu, rouge_n};
use crate::similarity::tokens::{
    Vocabulary, characters, lower_words, words_between_spaces, words_of_ascii, words_of_letters,
};
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
    Meteor,
    Rouge(usize),
    RougeL,
    Cosine,
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
            Metric::Meteor => Ok(Self::Meteor),
            Metric::CosineWords => Ok(Self::Cosine),
            Metric::Cosine => refuse(
                "cosine",
                "it compares embeddings, and pure graders have no model; `cosine_words` compares counts of words",
            ),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fuzzy => "fuzzy_match",
            Self::Bleu => "bleu",
            Self::Gleu => "gleu",
            Self::Meteor => "meteor",
            Self::Rouge(_) => "rouge_n",
            Self::RougeL => "rouge_l",
            Self::Cosine => "cosine_words",
        }
    }

    /// What the measure compares: characters, words as they are spaced, or words of ASCII letters and digits.
    fn tokens(self, text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
        match self {
            Self::Fuzzy => characters(text),
            Self::Bleu | Self::Gleu => words_between_spaces(text, vocabulary),
            Self::Meteor => lower_words(text, vocabulary),
            Self::Rouge(_) | Self::RougeL => words_of_ascii(text, vocabulary),
            Self::Cosine => words_of_letters(text, vocabulary),
        }
    }

    /// Fewest tokens of a reference that any text can be like. A shorter one would give 0 to every response.
    fn least(self) -> usize {
        match self {
            Self::Fuzzy | Self::Gleu | Self::Meteor | Self::RougeL | Self::Cosine => 1,
            Self::Bleu => LONGEST,
            Self::Rouge(n) => n,
        }
    }

    /// Steps to compare so many tokens with a reference.
    fn cost(self, reference: &[u32], input: usize) -> u64 {
        match self {
            Self::Fuzzy | Self::RougeL => subsequence::cost(reference, input),
            Self::Bleu | Self::Gleu => 4 * (reference.len() + input) as u64,
            Self::Meteor => 4 * (reference.len() + input) as u64,
            Self::Rouge(_) | Self::Cosine => (reference.len() + input) as u64,
        }
    }

    fn value(self, reference: &[u32], input: &[u32], vocabulary: &mut Vocabulary) -> f64 {
        match self {
            Self::Fuzzy => {
                let common = subsequence::common_length(reference, input);
                2.0 * common as f64 / (reference.len() + input.len()) as f64
            }
            Self::Bleu => bleu(reference, input),
            Self::Gleu => gleu(reference, input),
            Self::Meteor => meteor(reference, input, &vocabulary.stems()),
            Self::Cosine => cosine(reference, input),
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
            Ok((
                self.measure.value(&reference, &input, &mut vocabulary),
                self.measure.name(),
            ))
        })
    }
}
