//! Where logs, live chunks, counts and files live.
