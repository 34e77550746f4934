//! Templates with their ids, shapes and splits, built once from the tables.

use std::fmt;
use std::sync::OnceLock;

use super::Split;
use super::shape::{Shape, shape};
use super::templates::all;

/// Id of a template; shows as e.g. `a*b+c/t2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TemplateId {
    /// Name of the shape.
    pub shape: &'static str,
    /// Which of the two lists.
    pub split: Split,
    /// Place in the list.
    pub index: usize,
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = match self.split {
            Split::Train => 't',
            Split::HeldOut => 'h',
        };
        write!(f, "{}/{list}{}", self.shape, self.index)
    }
}

/// A wording of a shape.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// Id.
    pub id: TemplateId,
    /// What is computed.
    pub shape: &'static Shape,
    /// Text with slots.
    pub text: &'static str,
}

/// All templates.
#[must_use]
pub fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut list = Vec::new();
        for wordings in all() {
            let shape = shape(wordings.shape).expect("a test checks that every table names a shape");
            for (split, texts) in [(Split::Train, wordings.train), (Split::HeldOut, wordings.held_out)] {
                let id = |index| TemplateId {
                    shape: shape.name,
                    split,
                    index,
                };
                list.extend(texts.iter().enumerate().map(|(index, text)| Template {
                    id: id(index),
                    shape,
                    text,
                }));
            }
        }
        list
    })
}
