//! The house and its children.
fn main() {}
