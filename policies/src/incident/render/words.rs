//! Words and numbers as they stand in a section.

use super::super::tally::Compared;

pub(super) fn quantiles(of: &Compared) -> String {
    let ms = |value: Option<f64>| value.map_or("none".to_owned(), |ms| format!("{ms} ms"));
    let each = [50, 99].map(|percent| {
        let now = of.during.quantile(percent);
        let then = of.before.quantile(percent);
        format!("p{percent} {} ({} before)", ms(now), ms(then))
    });
    each.join(", ")
}

/// The most frequent first, those as frequent by name.
pub(super) fn most<K: Ord, V>(
    of: impl IntoIterator<Item = (K, V)>,
    count: impl Fn(&V) -> u64,
) -> impl Iterator<Item = (K, V)> {
    let mut rows: Vec<(K, V)> = of.into_iter().collect();
    rows.sort_by(|a, b| {
        let by_count = count(&b.1).cmp(&count(&a.1));
        by_count.then_with(|| a.0.cmp(&b.0))
    });
    rows.into_iter()
}

pub(super) fn noun(count: usize, one: &str) -> String {
    match count {
        1 => one.to_owned(),
        _ => format!("{one}s"),
    }
}
