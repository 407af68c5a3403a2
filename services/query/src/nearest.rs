//! The nearest name to one that does not exist, for messages.

/// `; did you mean ..?`, or nothing where no name is near.
pub(crate) fn hint<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names.map(|name| (strsim::damerau_levenshtein(wrong, name), name));
    let nearest = near.min().filter(|(distance, name)| distance * 2 <= name.len());
    nearest.map(|(_, name)| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_named_and_a_far_one_is_not() {
        let hint = |wrong| hint(wrong, ["outcome", "failure_rate"].into_iter());
        assert_eq!(hint("failurerate"), "; did you mean `failure_rate`?");
        assert_eq!(hint("subjects"), "");
    }
}
