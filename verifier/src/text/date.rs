//! Dates and times of day in their common writings.

/// Months by the first three letters of their names.
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A date or a time of day; what is not written is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Day of a month, and year.
    Date { year: Option<u32>, month: u32, day: u32 },
    /// Seconds since midnight; within half a day where neither half is written.
    Time { seconds: u32, half_known: bool },
}

impl Moment {
    /// Whether both may be the same: what one side leaves out is not compared.
    pub(crate) fn same(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::Date { year, month, day },
                Self::Date {
                    year: y,
                    month: m,
                    day: d,
                },
            ) => (month, day) == (m, d) && (year == y || year.is_none() || y.is_none()),
            (
                Self::Time { seconds, half_known },
                Self::Time {
                    seconds: other,
                    half_known: known,
                },
            ) => {
                let whole = if half_known && known { 86_400 } else { 43_200 };
                seconds % whole == other % whole
            }
            _ => false,
        }
    }
}

/// The moment that a whole text names.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let bare = super::words::bare_text(text).to_lowercase();
    let words: Vec<&str> = bare
        .split(|c: char| c.is_whitespace() || c == ',')
        .map(|w| w.trim_end_matches('.'))
        .filter(|w| !w.is_empty() && *w != "of" && *w != "the")
        .collect();
    match words.as_slice() {
        [iso] if iso.contains('-') => iso_date(iso),
        [time] => clock(time, ""),
        [time, half] if matches!(*half, "am" | "pm" | "a.m" | "p.m" | "noon" | "midnight") => clock(time, half),
        [a, b] | [a, b, _] => {
            let year = match words.get(2) {
                None => None,
                Some(year) => Some(year.parse().ok().filter(|y| (1000..10_000).contains(y))?),
            };
            let (month, day) = month(a).zip(day(b)).or_else(|| month(b).zip(day(a)))?;
            Some(Moment::Date { year, month, day })
        }
        _ => None,
    }
}

fn month(word: &str) -> Option<u32> {
    let start = word.get(..3)?;
    let index = MONTHS.iter().position(|m| *m == start)?;
    let letters = word.bytes().all(|b| b.is_ascii_alphabetic());
    u32::try_from(index + 1).ok().filter(|_| letters)
}

fn day(word: &str) -> Option<u32> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse().ok().filter(|d| (1..=31).contains(d))
}

fn iso_date(text: &str) -> Option<Moment> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return None;
    };
    Some(Moment::Date {
        year: Some(year.parse().ok().filter(|y| (1000..10_000).contains(y))?),
        month: month.parse().ok().filter(|m| (1..=12).contains(m))?,
        day: day.parse().ok().filter(|d| (1..=31).contains(d))?,
    })
}

/// `3:45`, `15:45`, `15:45:00`, `3pm`.
fn clock(time: &str, half: &str) -> Option<Moment> {
    let bare = time.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '.');
    let half = if half.is_empty() { &time[bare.len()..] } else { half };
    let half = half.replace('.', "");
    let parts: Vec<&str> = bare.split(':').collect();
    let (hour, rest) = parts.split_first().filter(|(_, rest)| rest.len() <= 2)?;
    let hour: u32 = hour.parse().ok().filter(|hour| *hour <= 24)?;
    if half.is_empty() && rest.is_empty() {
        return None;
    }
    let sixtieths = |at: usize| match rest.get(at) {
        None => Some(0),
        Some(part) if part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) => {
            part.parse::<u32>().ok().filter(|n| *n <= 59)
        }
        Some(_) => None,
    };
    let past_hour = sixtieths(0)? * 60 + sixtieths(1)?;
    let hour_of_day = match half.as_str() {
        "" => hour % 24,
        "am" | "midnight" if (1..=12).contains(&hour) => hour % 12,
        "pm" | "noon" if (1..=12).contains(&hour) => hour % 12 + 12,
        _ => return None,
    };
    Some(Moment::Time {
        seconds: hour_of_day * 3600 + past_hour,
        half_known: !half.is_empty() || hour > 12 || hour == 0,
    })
}
