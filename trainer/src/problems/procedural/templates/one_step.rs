//! Wordings of one operation.

use super::Wordings;

pub(super) const WORDINGS: &[Wordings] = &[
    Wordings {
        shape: "a+b",
        train: &[
            "{N} has {a} {x}. {N} [buys|finds|gets] {b} more. How many {x} does {N} have now?",
            "{N} has {a} {x} and {M} has {b} {x}. How many {x} do they have [together|in all]?",
            "There are {a} {x} in a {u} and {b} {x} on the [table|shelf]. How many {x} are there in all?",
            "A [shop|farm] sells {a} {x} on Monday and {b} {x} on Tuesday. How many {x} does it sell in all?",
            "{N} [walks|runs] {a} miles on Monday and {b} miles on Friday. How many miles is that in all?",
        ],
        held_out: &[
            "{N} finds {a} {x} on Monday and {b} {x} on Tuesday. How many {x} does {N} have in all?",
            "A shelf has {a} {x}. {N} puts {b} more {x} on the shelf. How many {x} are on the shelf now?",
        ],
    },
    Wordings {
        shape: "a-b",
        train: &[
            "{N} has {a} {x}. {N} [gives {b} to {M}|loses {b}|sells {b}]. How many {x} are left?",
            "There are {a} {x} in a {u}. {N} takes {b} of them out. How many {x} are still in it?",
            "{N} has {a} {x} and {M} has {b} {x}. How many more {x} does {N} have than {M}?",
            "A book has {a} pages. {N} reads {b} pages. How many pages are left?",
            "{N} wants {a} {x} and has {b}. How many more {x} does {N} need?",
        ],
        held_out: &[
            "A shop has {a} {x}. It sells {b} of them on Monday. How many {x} are still in the shop?",
            "{N} brings {a} {x} to a shop and gives {b} of them to {M}. How many {x} does {N} still have?",
        ],
    },
    Wordings {
        shape: "a*b",
        train: &[
            "{N} has {a} {U} with {b} {x} in each. How many {x} does {N} have?",
            "There are {a} [rows|shelves] with {b} {x} in each. How many {x} are there in all?",
            "Each [child|friend] gets {b} {x}. There are {a} of them. How many {x} is that in all?",
            "{N} buys {a} {x} for {b} dollars each. How many dollars does {N} pay?",
            "{N} reads {b} pages every day. How many pages does {N} read in {a} days?",
        ],
        held_out: &[
            "A shop has {a} bags. In each of them are {b} {x}. How many {x} does the shop have in all?",
            "{N} gets {b} {x} every day. How many {x} does {N} get in {a} days?",
        ],
    },
    Wordings {
        shape: "a/b",
        train: &[
            "{N} shares {a} {x} equally among {b} friends. How many {x} does each friend get?",
            "{N} puts {a} {x} into {b} {U}, the same number in each. How many {x} are in each?",
            "{N} has {a} {x} and puts {b} in each {u}. How many {U} does {N} need?",
            "{N} pays {a} dollars for {b} {x}. How many dollars is that for each?",
            "{N} reads {a} pages in {b} days, the same number every day. How many pages is that for each day?",
        ],
        held_out: &[
            "There are {a} {x} for {b} friends. They are shared equally. How many {x} does each friend get?",
            "{N} has {a} {x} in {b} rows, the same number in each. How many {x} is that for each?",
        ],
    },
];
