//! Listeners over HTTP.
