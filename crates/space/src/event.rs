//! What happened in a space, for whoever runs it to act on.

/// One thing that happened. The facts are asked of the [`crate::Space`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is live: open the log, if it is recorded, and tell everybody.
    Started,
    /// It is over: stop the sound, close the log and make the replay, if it was recorded.
    Ended,
    /// Somebody came to the stage or left it.
    StageChanged,
    /// Somebody else, or nobody, is heard.
    SpeakingChanged,
    /// Recording is paused, or goes on.
    RecordingChanged,
    /// The replay can be heard.
    Posted,
    /// No replay will come.
    ReplayFailed,
    /// Remove log and replay.
    RecordingDeleted,
}
