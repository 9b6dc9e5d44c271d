//! How a broken promise is reported: by name, and with the values that break it.

use std::any::Any;
use std::fmt::{self, Debug, Display, Formatter};

/// A property that does not hold.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Violation {
    /// The name of the property.
    pub property: &'static str,
    /// What is wrong, with the values.
    pub detail: String,
}

impl Violation {
    /// A violation of `property`.
    pub fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Self { property, detail: detail.into() }
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.detail)
    }
}

impl Debug for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Checks a condition that the property `property` demands.
///
/// # Errors
/// The violation, described by `detail`, if the condition does not hold.
pub fn demand(
    property: &'static str,
    holds: bool,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { property, detail: detail() }) }
}

/// What a panic says: a broken promise by its name, any other panic as `no_panic`.
#[must_use]
pub fn of_panic(panic: &(dyn Any + Send)) -> Violation {
    if let Some(violation) = panic.downcast_ref::<Violation>() {
        return violation.clone();
    }
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Violation::new("no_panic", words.unwrap_or("a panic without words"))
}
