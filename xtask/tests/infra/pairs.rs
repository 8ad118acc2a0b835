//! Few combinations in which every two values of different options meet.

use std::collections::BTreeSet;

/// A value of an option: the option's number, the value's number.
type Level = (usize, usize);

/// Rows with a value for each option; `sizes` says how many values an option has. Every pair is in at least one row.
/// The same sizes give the same rows.
pub(crate) fn cover(sizes: &[usize]) -> Vec<Vec<usize>> {
    let levels = |option: usize| (0..sizes[option]).map(move |value| (option, value));
    let mut open: BTreeSet<(Level, Level)> = BTreeSet::new();
    for left in 0..sizes.len() {
        for right in left + 1..sizes.len() {
            open.extend(levels(left).flat_map(|one| levels(right).map(move |other| (one, other))));
        }
    }
    let mut rows = Vec::new();
    while let Some(&(first, second)) = open.first() {
        let mut chosen = vec![first, second];
        // The options with most values are hardest to place.
        let mut others: Vec<usize> =
            (0..sizes.len()).filter(|option| *option != first.0 && *option != second.0).collect();
        others.sort_by_key(|option| std::cmp::Reverse(sizes[*option]));
        for option in others {
            let meets = |level: Level| chosen.iter().filter(|other| open.contains(&ordered(level, **other))).count();
            // Of equal ones another value each time, or every row that is full anyhow would take the first.
            let turn = |level: Level| (level.1 + sizes[option] - rows.len() % sizes[option]) % sizes[option];
            let best = levels(option).max_by_key(|level| (meets(*level), std::cmp::Reverse(turn(*level))));
            chosen.extend(best);
        }
        for one in &chosen {
            for other in &chosen {
                open.remove(&ordered(*one, *other));
            }
        }
        chosen.sort_unstable();
        rows.push(chosen.into_iter().map(|(_, value)| value).collect());
    }
    rows
}

fn ordered(one: Level, other: Level) -> (Level, Level) {
    (one.min(other), one.max(other))
}
