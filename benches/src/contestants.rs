//! Who is compared, and by what.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// Storage of weight matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Weights {
    /// 32-bit floats.
    F32,
    /// IEEE half precision; svs has none.
    F16,
    /// 16-bit floats with the exponent of f32.
    Bf16,
}

impl Weights {
    /// As `svs --weights` reads it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// As llama.cpp calls it.
    pub fn gguf(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }
}

/// One engine in one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contestant {
    /// This repository's engine.
    Svs(Weights),
    /// llama.cpp, with or without its flash attention.
    LlamaCpp(Weights, bool),
    /// A server that runs already.
    Url(String),
}

impl Contestant {
    /// Whether a row's floor is stated against it.
    pub fn counts(&self, against: Against) -> bool {
        match self {
            Self::LlamaCpp(weights, _) => against == Against::Best || *weights == Weights::F16,
            _ => false,
        }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Svs(weights) => write!(f, "svs {}", weights.flag()),
            Self::LlamaCpp(weights, flash) => {
                write!(f, "llama.cpp {}{}", weights.gguf(), if *flash { " fa" } else { "" })
            }
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl Serialize for Contestant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which settings of llama.cpp a floor is stated against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Its half-precision weights.
    F16,
    /// Its fastest weights of those measured.
    Best,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Row {
    /// One sequence.
    #[value(name = "decode-1")]
    Decode1,
    /// 16 sequences at once.
    #[value(name = "decode-16")]
    Decode16,
    /// 64 sequences at once.
    #[value(name = "decode-64")]
    Decode64,
    /// 64 prompts of 64 tokens; measured in the runs of `decode-64`.
    Prefill,
    /// Groups of samples over HTTP.
    Http,
}

impl Row {
    /// Sequences at once, of a row that needs no server.
    pub fn batch(self) -> Option<usize> {
        match self {
            Self::Decode1 => Some(1),
            Self::Decode16 => Some(16),
            Self::Decode64 | Self::Prefill => Some(64),
            Self::Http => None,
        }
    }

    /// The least ratio that svs is to reach, and against whom.
    pub fn floor(self) -> (f64, Against) {
        match self {
            Self::Decode1 => (1.1, Against::F16),
            Self::Decode16 => (1.5, Against::Best),
            Self::Decode64 | Self::Http => (1.25, Against::Best),
            Self::Prefill => (1.0, Against::Best),
        }
    }

    /// For tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Decode1 => "decode, batch 1",
            Self::Decode16 => "decode, batch 16",
            Self::Decode64 => "decode, batch 64",
            Self::Prefill => "prefill, 64 × 64",
            Self::Http => "rollouts over HTTP, 8 × 8",
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
