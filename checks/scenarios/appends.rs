//! What clients have appended to values: `client.number` each, from 0 on.

/// A client's appends are all there, once each, in the order in which they were made.
pub fn expect_in_order(value: &str, client: usize, count: usize) {
    let expected: Vec<_> = (0..count).map(|number| format!("{client}.{number}")).collect();
    assert_eq!(appends_in(value, client), expected);
}

/// The same over several values: each has some of the appends in order, and together they have all.
pub fn expect_each_once(values: &[String], client: usize, count: usize) {
    let number = |append: &String| -> usize {
        append.split_once('.').expect("client.number").1.parse().expect("a number")
    };
    let mut all = Vec::new();
    for value in values {
        let numbers: Vec<_> = appends_in(value, client).iter().map(number).collect();
        assert!(numbers.is_sorted(), "{client} appended out of order: {value}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>(), "the appends of {client}");
}

/// What a client has appended to a value, in order.
fn appends_in(value: &str, client: usize) -> Vec<String> {
    let prefix = format!("{client}.");
    value.split_whitespace().filter(|a| a.starts_with(&prefix)).map(str::to_owned).collect()
}
