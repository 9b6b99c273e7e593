//! Records in order, read by position.
