//! Names, things and side remarks that fill the templates.

/// First names.
pub const NAMES: &[&str] = &[
    "Ann", "Ben", "Tom", "Mia", "Leo", "Zoe", "Sam", "Eva", "Max", "Lily", "Omar", "Nina", "Paul", "Ruth", "Ivan",
    "Rosa", "Jack", "Anna", "Emma", "Noah", "Maya", "Liam", "Sara", "Hugo",
];

/// Things that can be counted, had, given and put in boxes.
pub const ITEMS: &[&str] = &[
    "apples", "marbles", "books", "coins", "cards", "shells", "stickers", "pens", "cookies", "stamps", "buttons",
    "beads", "eggs", "pears", "plums", "stones", "balls", "toys", "cups", "roses", "nuts", "keys", "lemons", "bricks",
    "candles", "ribbons", "pencils", "oranges",
];

/// Remarks that change nothing; `{k}` is a number that must be ignored.
pub const REMARKS: &[&str] = &[
    "{N} likes music.",
    "It is a sunny day.",
    "The {x} are red.",
    "{N} is {k} years old.",
    "{N} has a dog.",
    "It is {k} days before the holiday.",
    "The {x} are not new.",
    "{N} lives in a small town.",
];

/// Containers and their plurals.
pub const CONTAINERS: &[(&str, &str)] = &[
    ("box", "boxes"),
    ("bag", "bags"),
    ("basket", "baskets"),
    ("jar", "jars"),
];
