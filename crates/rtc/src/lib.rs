//! Speakers over WebRTC.
