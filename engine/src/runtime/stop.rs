//! Stop strings in streamed text: what could still become one is held back.

/// Watches the text of one choice.
#[derive(Debug, Clone, Default)]
pub(super) struct StopWatch {
    stops: Vec<String>,
    include: bool,
    held: String,
}

impl StopWatch {
    pub(super) fn new(stops: &[String], include: bool) -> Self {
        Self {
            stops: stops.to_vec(),
            include,
            held: String::new(),
        }
    }

    /// Appends text. Returns what is safe to show, and the stop string that ended it, if one did. With `may_stop` false
    /// (before `min_tokens`) nothing stops and nothing is held back.
    pub(super) fn push(&mut self, text: &str, may_stop: bool) -> (String, Option<String>) {
        self.held.push_str(text);
        if self.stops.is_empty() || !may_stop {
            return (std::mem::take(&mut self.held), None);
        }
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at, stop)));
        // The earliest end decides, however the text is cut into tokens; of two that end together, the longer.
        if let Some((at, stop)) = first.min_by_key(|(at, stop)| (at + stop.len(), *at)) {
            let end = if self.include { at + stop.len() } else { at };
            let (shown, stop) = (self.held[..end].to_owned(), stop.clone());
            self.held.clear();
            return (shown, Some(stop));
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let shown = self.held.len() - keep;
        let rest = self.held.split_off(shown);
        (std::mem::replace(&mut self.held, rest), None)
    }

    /// What is still held back.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest proper prefix of `stop` that `text` ends with.
fn overlap(text: &str, stop: &str) -> usize {
    let candidates = stop.char_indices().map(|(at, _)| at).skip(1);
    candidates.filter(|at| text.ends_with(&stop[..*at])).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holds_back_and_stops() {
        type Row = (
            &'static [&'static str],
            bool,
            &'static [&'static str],
            &'static str,
            Option<&'static str>,
        );
        let table: [Row; 9] = [
            (&[], false, &["a", "b"], "ab", None),
            (&["END"], false, &["xE", "ND", "y"], "x", Some("END")),
            (&["END"], true, &["xE", "NDy"], "xEND", Some("END")),
            (&["END"], false, &["xEN", "E"], "xENE", None),
            (&["b", "abc"], false, &["a", "b", "c"], "a", Some("b")),
            (&["b", "abc"], false, &["abc"], "a", Some("b")),
            (&["bc", "abc"], false, &["a", "b", "c"], "", Some("abc")),
            (&["bc", "abc"], false, &["xabcy"], "x", Some("abc")),
            (&["ö!"], false, &["ö", "ö!"], "ö", Some("ö!")),
        ];
        for (stops, include, pieces, shown, stopped) in table {
            let stops: Vec<String> = stops.iter().map(|stop| (*stop).into()).collect();
            let mut watch = StopWatch::new(&stops, include);
            let (mut text, mut stop) = (String::new(), None);
            for piece in pieces {
                let (more, hit) = watch.push(piece, true);
                text += &more;
                stop = hit;
                if stop.is_some() {
                    break;
                }
            }
            text += &watch.finish();
            assert_eq!(
                (text.as_str(), stop.as_deref()),
                (shown, stopped),
                "{stops:?} {pieces:?}"
            );
        }
    }

    /// What a text shows and what ends it, read character by character.
    fn plainly<'a>(text: &'a str, stops: &'a [String], include: bool) -> (&'a str, Option<&'a str>) {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        for end in ends {
            let hits = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str()));
            if let Some(stop) = hits.max_by_key(|stop| stop.len()) {
                let shown = if include { end } else { end - stop.len() };
                return (&text[..shown], Some(stop));
            }
        }
        (text, None)
    }

    proptest! {
        #[test]
        fn the_cuts_between_tokens_change_nothing(
            text in "[abé]{0,24}",
            stops in prop::collection::vec("[abé]{1,4}", 1..4),
            include: bool,
            cuts in prop::collection::vec(0usize..24, 0..12),
        ) {
            let mut watch = StopWatch::new(&stops, include);
            let (mut shown, mut stopped) = (String::new(), None);
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
            cuts.extend([0, characters.len()]);
            cuts.sort_unstable();
            for piece in cuts.windows(2) {
                let (more, stop) = watch.push(&String::from_iter(&characters[piece[0]..piece[1]]), true);
                shown += &more;
                stopped = stop;
                // What is shown can never have to be taken back.
                prop_assert!(plainly(&text, &stops, include).0.starts_with(&shown));
                if stopped.is_some() {
                    break;
                }
            }
            shown += &watch.finish();
            prop_assert_eq!((shown.as_str(), stopped.as_deref()), plainly(&text, &stops, include));
        }
    }

    #[test]
    fn nothing_stops_before_min_tokens() {
        let mut watch = StopWatch::new(&["a".into()], false);
        assert_eq!(watch.push("aa", false), ("aa".into(), None));
    }
}
