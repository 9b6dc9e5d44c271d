//! The portfolio: what is checked, to which bound.
