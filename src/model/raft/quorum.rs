//! Majorities: any two share a server, which is what both elections and commitment rest on.

use crate::types::Index;

/// How many of `servers` are a majority.
#[must_use]
pub fn majority(servers: usize) -> usize {
    servers / 2 + 1
}

/// The highest index that a majority has reached, given how far each server has come.
///
/// # Panics
/// Without servers there is no majority.
#[must_use]
pub fn reached(mut progress: Vec<Index>) -> Index {
    assert!(!progress.is_empty(), "a group has at least one server");
    progress.sort_unstable();
    // The majority-th from the top: it and all behind it are at least so far.
    progress[progress.len() - majority(progress.len())]
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn two_majorities_share_a_server(servers: u8) -> bool {
            let servers = usize::from(servers) + 1;
            2 * majority(servers) > servers && majority(servers) <= servers
        }

        fn reached_is_the_highest_index_a_majority_holds(progress: Vec<u8>) -> bool {
            if progress.is_empty() {
                return true;
            }
            let progress: Vec<_> = progress.into_iter().map(|i| Index(u64::from(i))).collect();
            let holds = |index| {
                progress.iter().filter(|p| **p >= index).count() >= majority(progress.len())
            };
            let reached = reached(progress.clone());
            holds(reached) && !holds(reached.next())
        }
    }
}
