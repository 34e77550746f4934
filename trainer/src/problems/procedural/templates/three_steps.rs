//! Wordings of three operations.

use super::Wordings;

pub(super) const WORDINGS: &[Wordings] = &[
    Wordings {
        shape: "a*b+c*d",
        train: &[
            "{N} has {a} boxes with {b} {x} in each and {c} bags with {d} {x} in each. How many {x} does {N} have?",
            "{N} buys {a} {x} for {b} dollars each and {c} books for {d} dollars each. How many dollars does {N} pay?",
            "There are {a} rows with {b} red {x} and {c} rows with {d} blue {x}. How many {x} are there in all?",
            "{N} reads {b} pages every day for {a} days and then {d} pages every day for {c} days. How many pages is that?",
        ],
        held_out: &[
            "{N} fills {a} bags with {b} {x} in each. {M} fills {c} bags with {d} in each. How many {x} is that in all?",
            "A shop sells {b} {x} every day for {a} days and {d} every day for {c} days. How many {x} does it sell in all?",
        ],
    },
    Wordings {
        shape: "(a+b)*c-d",
        train: &[
            "Each {u} has {a} red {x} and {b} blue {x}. {N} has {c} of them and [loses|sells] {d} {x}. How many {x} are left?",
            "{N} gets {a} {x} every morning and {b} every evening. After {c} days {N} gives {d} to {M}. How many {x} are left?",
            "{N} and {M} get {a} and {b} dollars every day. After {c} days they pay {d} dollars. How many dollars are left?",
        ],
        held_out: &[
            "Each of {c} friends has {a} red {x} and {b} green {x}. They use {d} of them. How many {x} are left?",
            "{N} finds {a} {x} every morning and {b} every evening. After {c} days {N} loses {d}. How many {x} are left?",
        ],
    },
    Wordings {
        shape: "a*b+c-d",
        train: &[
            "{N} has {a} {U} with {b} {x} in each and finds {c} more. Then {N} gives {d} to {M}. How many {x} are left?",
            "There are {a} rows with {b} {x} in each. {N} brings {c} more and {M} takes {d}. How many {x} are there now?",
            "{N} gets {b} dollars every day for {a} days and {c} more from {M}. {N} pays {d} for a book. How many dollars are left?",
        ],
        held_out: &[
            "A shop has {a} shelves with {b} {x} in each. It gets {c} more and sells {d}. How many {x} are left?",
            "Each of {a} friends brings {b} {x}. {N} brings {c} more. They use {d} of them. How many {x} are left?",
        ],
    },
];
