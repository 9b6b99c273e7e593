//! Containers: CMAF/fMP4 fragments and Ogg pages.
pub mod emsg;
pub mod fmp4;
pub mod ogg;
