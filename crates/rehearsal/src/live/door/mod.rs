//! People at the door of a real server: [`crowd`] plays a launch, [`visitors`] come as fast as they are answered.

mod answer;
pub mod crowd;
mod level;
pub mod visitors;
