//! One conversation: who may do what, when. Pure.
