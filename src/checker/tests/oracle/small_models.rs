//! Small systems on every kind of network, lossy or not: the same states, steps, verdicts and
//! distances as stateright's.
//!
//! Each test ends with how many of the six systems of each size are small enough to be compared.

use checker::examples::{lock, register};

use crate::agree::agree_on_all_networks;
use crate::models::{dice, nobody, recovery, ticks};

#[test]
fn register_with_clients() {
    let sizes = [(1, 0), (1, 1), (1, 3), (2, 0), (2, 1), (2, 2), (3, 0)];
    let compared = sizes.map(|(clients, writes)| {
        let what = format!("register, {clients} clients, {writes} writes");
        agree_on_all_networks(&register::model(clients, writes), &what)
    });
    assert_eq!(compared, [6, 6, 6, 6, 5, 4, 6]);
}

#[test]
fn lock_server_with_timeouts() {
    let sizes = [(1, 0), (1, 2), (2, 0), (2, 1), (3, 0)];
    let compared = sizes.map(|(clients, retries)| {
        let what = format!("lock, {clients} clients, {retries} retries");
        agree_on_all_networks(&lock::model(clients, retries), &what)
    });
    assert_eq!(compared, [6, 6, 6, 6, 5]);
}

#[test]
fn timers_that_set_and_cancel_each_other() {
    let sizes = [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)];
    let compared = sizes.map(|(actors, most)| {
        let what = format!("ticks, {actors} actors, {most} times");
        agree_on_all_networks(&ticks::model(actors, most), &what)
    });
    assert_eq!(compared, [6, 6, 6, 6, 6]);
}

#[test]
fn crashes_and_recovery_from_storage() {
    let sizes = [(1, 1, 0), (1, 2, 1), (1, 3, 1), (2, 1, 1), (2, 1, 2), (1, 2, 2)];
    let compared = sizes.map(|(clients, adds, crashes)| {
        let what = format!("recovery, {clients} clients, {adds} adds, {crashes} crashes");
        agree_on_all_networks(&recovery::model(clients, adds, crashes), &what)
    });
    assert_eq!(compared, [6, 6, 5, 5, 5, 6]);
}

#[test]
fn random_choices() {
    let sizes = [(1, 1), (1, 4), (2, 2), (2, 3), (3, 2)];
    let compared = sizes.map(|(players, sides)| {
        let what = format!("dice, {players} players, {sides} sides");
        agree_on_all_networks(&dice::model(players, sides), &what)
    });
    assert_eq!(compared, [6, 6, 5, 5, 4]);
}

#[test]
fn letters_to_nobody() {
    let sizes = [(1, 1), (2, 1), (2, 2), (3, 1)];
    let compared = sizes.map(|(actors, letters)| {
        let what = format!("nobody, {actors} actors, {letters} letters");
        agree_on_all_networks(&nobody::model(actors, letters), &what)
    });
    assert_eq!(compared, [6, 6, 5, 5]);
}
