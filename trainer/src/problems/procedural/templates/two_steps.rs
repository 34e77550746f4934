//! Wordings of two operations.

use super::Wordings;

pub(super) const WORDINGS: &[Wordings] = &[
    Wordings {
        shape: "a+b+c",
        train: &[
            "{N} has {a} {x}. {N} [buys|finds|gets] {b} more and then {c} more. How many {x} does {N} have now?",
            "{N} has {a} {x}, {M} has {b} and a friend has {c}. How many {x} do they have [together|in all]?",
            "A shop sells {a} {x} on Monday, {b} on Tuesday and {c} on Friday. How many {x} does it sell in all?",
            "There are {a} red {x}, {b} blue {x} and {c} green {x} in a {u}. How many {x} are in it?",
        ],
        held_out: &[
            "{N} finds {a} {x} on Monday, {b} on Tuesday and {c} on Friday. How many {x} does {N} have in all?",
            "There are {a} {x} on the table, {b} on the shelf and {c} in a {u}. How many {x} are there in all?",
        ],
    },
    Wordings {
        shape: "a+b-c",
        train: &[
            "{N} has {a} {x}. {N} [buys|finds|gets] {b} more and then [loses|sells] {c}. How many {x} does {N} have now?",
            "{N} has {a} {x} and {M} has {b}. Together they give {c} to a friend. How many {x} are left?",
            "There are {a} red {x} and {b} blue {x} in a {u}. {N} takes {c} of them out. How many {x} are left in it?",
            "A shop has {a} {x} and gets {b} more. It sells {c} of them. How many {x} are left?",
            "{N} wants {c} {x} less than {a} and {b} together. How many {x} does {N} want?",
        ],
        held_out: &[
            "There are {a} {x} on a shelf. {N} puts {b} more on it and {M} takes {c} of them. How many {x} are left?",
            "{N} finds {a} {x} on Monday and {b} on Tuesday. Then {N} gives {c} to {M}. How many {x} does {N} have now?",
        ],
    },
    Wordings {
        shape: "a-b-c",
        train: &[
            "{N} has {a} {x}. {N} gives {b} to {M} and {c} to a friend. How many {x} are left?",
            "A shop has {a} {x}. It sells {b} on Monday and {c} on Tuesday. How many {x} are left?",
            "There are {a} {x} in a {u}. {N} takes {b} and {M} takes {c}. How many {x} are still in it?",
            "A book has {a} pages. {N} reads {b} pages on Monday and {c} on Friday. How many pages are left?",
        ],
        held_out: &[
            "{N} has {a} {x}. {N} sells {b} of them and then loses {c}. How many {x} does {N} still have?",
            "There are {a} {x} on the table. {N} gives {b} to {M} and puts {c} in a bag. How many {x} are left?",
        ],
    },
    Wordings {
        shape: "a*b+c",
        train: &[
            "{N} has {a} {U} with {b} {x} in each and {c} more {x}. How many {x} does {N} have in all?",
            "There are {a} rows with {b} {x} in each. {N} [puts|brings] {c} more {x}. How many {x} are there now?",
            "{N} buys {a} {x} for {b} dollars each and a bag for {c} dollars. How many dollars does {N} pay?",
            "{N} gets {b} {x} every day for {a} days and then {c} more from {M}. How many {x} does {N} get in all?",
            "{N} has {c} {x}. {N} [buys|gets] {a} {U} with {b} {x} in each. How many {x} does {N} have now?",
        ],
        held_out: &[
            "A shop has {a} shelves with {b} {x} in each. It gets {c} more {x}. How many {x} does it have now?",
            "Each of {a} friends has {b} {x}. {N} has {c} {x}. How many {x} do they have together?",
        ],
    },
    Wordings {
        shape: "a*b-c",
        train: &[
            "{N} has {a} {U} with {b} {x} in each. {N} [loses|sells] {c} {x}. How many {x} are left?",
            "There are {a} rows with {b} {x} in each. {N} takes {c} of them. How many {x} are left?",
            "{N} gets {b} dollars every day for {a} days and pays {c} dollars for a book. How many dollars are left?",
            "Each of {a} friends brings {b} {x}. They [use|lose] {c} of them. How many {x} are left?",
        ],
        held_out: &[
            "{N} buys {a} bags with {b} {x} in each and gives {c} {x} to {M}. How many {x} does {N} still have?",
            "A shop has {a} shelves with {b} {x} in each. It sells {c} of them. How many {x} are still in the shop?",
        ],
    },
    Wordings {
        shape: "a-b*c",
        train: &[
            "{N} has {a} {x} and gives {c} {x} to each of {b} friends. How many {x} are left?",
            "{N} has {a} dollars and buys {b} {x} for {c} dollars each. How many dollars are left?",
            "A book has {a} pages. {N} reads {c} pages every day for {b} days. How many pages are left?",
            "There are {a} {x}. {N} [fills|takes] {b} {U} with {c} {x} in each. How many {x} are left?",
        ],
        held_out: &[
            "A shop has {a} {x} and sells {c} of them every day for {b} days. How many {x} are still in the shop?",
            "{N} has {a} {x} and puts {c} {x} in each of {b} bags. How many {x} does {N} still have?",
        ],
    },
    Wordings {
        shape: "(a+b)*c",
        train: &[
            "Each {u} has {a} red {x} and {b} blue {x}. How many {x} are in {c} {U}?",
            "{N} reads {a} pages every morning and {b} pages every evening. How many pages does {N} read in {c} days?",
            "{N} and {M} get {a} and {b} {x} every day. How many {x} do they get together in {c} days?",
            "A cake is {a} dollars and a drink is {b} dollars. {c} friends buy one of each. How many dollars do they pay?",
        ],
        held_out: &[
            "{N} sells {a} {x} every morning and {b} every evening. How many {x} does {N} sell in {c} days?",
            "Each friend gets {a} red {x} and {b} green {x}. How many {x} do {c} friends get in all?",
        ],
    },
    Wordings {
        shape: "(a-b)*c",
        train: &[
            "Each {u} has {a} {x}. {N} takes {b} out of each. How many {x} are left in {c} {U}?",
            "{N} gets {a} dollars every day and [uses|pays] {b} of them. How many dollars does {N} have after {c} days?",
            "A bag of {x} is {a} dollars but today it is {b} dollars less. How many dollars does {N} pay for {c} bags?",
            "Each of {c} friends has {a} {x} and loses {b}. How many {x} do they have [together|in all] now?",
        ],
        held_out: &[
            "{N} gets {a} {x} every day and gives {b} of them to {M}. How many {x} does {N} have after {c} days?",
            "There are {c} rows with {a} {x} in each. {N} takes {b} out of each. How many {x} are left in all?",
        ],
    },
    Wordings {
        shape: "(a+b)/c",
        train: &[
            "{N} has {a} {x} and [buys|finds] {b} more. {N} shares them equally among {c} friends. How many does each get?",
            "{N} has {a} {x} and {M} has {b}. They put them into {c} {U}, the same number in each. How many are in each?",
            "There are {a} red {x} and {b} blue {x}. {N} puts {c} in each {u}. How many {U} does {N} need?",
            "A book has {a} pages and a second book has {b}. {N} reads {c} pages every day. How many days does {N} need?",
        ],
        held_out: &[
            "{N} gets {a} {x} on Monday and {b} on Friday. {N} shares them equally among {c} friends. How many does each get?",
            "{N} and {M} have {a} and {b} {x}. Together they need {c} bags, the same number in each. How many are in each?",
        ],
    },
    Wordings {
        shape: "(a-b)/c",
        train: &[
            "{N} has {a} {x} and [uses|loses|sells] {b}. {N} shares the rest equally among {c} friends. How many does each get?",
            "There are {a} {x}. {N} takes {b} and puts the rest into {c} {U}, the same number in each. How many are in each?",
            "A book has {a} pages. {N} reads {b} and then {c} pages every day. How many days does {N} need for the rest?",
            "{N} has {a} dollars and pays {b} for a book. {x} are {c} dollars each. How many {x} can {N} buy with the rest?",
        ],
        held_out: &[
            "{N} has {a} {x} and gives {b} to {M}. {N} puts the rest into {c} boxes, the same number in each. How many are in each?",
            "A shop has {a} {x} and sells {b}. The rest are shared equally among {c} shelves. How many {x} are in each?",
        ],
    },
    Wordings {
        shape: "a/b+c",
        train: &[
            "{N} shares {a} {x} equally among {b} friends. Then each friend [buys|finds] {c} more. How many does each have now?",
            "{N} puts {a} {x} into {b} {U}, the same number in each, then {c} more in each. How many are in each?",
            "{a} {x} are shared equally by {b} friends. {N} is one of them and has {c} more {x}. How many does {N} have?",
            "{N} pays {a} dollars for {b} {x}. A drink is {c} dollars more than one of them. How many dollars is a drink?",
        ],
        held_out: &[
            "{a} {x} are put into {b} bags, the same number in each. {N} takes one bag and finds {c} more. How many does {N} have?",
            "{N} has {c} {x}. Then {a} {x} are shared equally by {N} and friends, {b} in all. How many does {N} have now?",
        ],
    },
];
