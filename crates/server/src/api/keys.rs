//! The keys with which this house signs, and the passes that it signs with them.

use std::time::{Duration, SystemTime};

use hiwar_admission::{
    Grant, Listen, ListenKey, Nonce, Origin, Pair, PassId, Proof, Refusal, Rehearsal, RehearsalKey, Scope, StageKey,
    StagePass, StageVerifier,
};

/// How long a link to host, to invite or to listen is good: longer than the time between planning and talking.
pub const LINK_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long addresses of a recording under review are good: for hearing the longest, and a night's sleep over it.
pub const REVIEW_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a speaker may speak without asking for a new pass.
pub const SPEAK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Signs and checks. Cheap to clone; secret.
#[derive(Clone, Debug)]
pub struct Keys {
    listen: Pair<ListenKey>,
    rehearsal: RehearsalKey,
    stage: StageKey,
    verifier: StageVerifier,
}

impl Keys {
    /// From the secrets on disk.
    pub fn new(listen: &Pair<[u8; 32]>, stage: [u8; 32]) -> Self {
        let stage = StageKey::from_bytes(stage);
        let rehearsal = RehearsalKey::from_bytes(listen.now);
        let listen = listen.map(|secret| ListenKey::from_bytes(*secret));
        Self { listen, rehearsal, verifier: stage.verifier(), stage }
    }

    /// A pass to create spaces on this node.
    pub fn create_pass(&self, expires: SystemTime) -> String {
        self.stage_pass(expires, Grant::Create)
    }

    /// Signs a pass of the stage under a new id.
    pub fn stage_pass(&self, expires: SystemTime, grant: Grant) -> String {
        self.stage.sign(&StagePass { id: new_id(), expires, grant })
    }

    /// Signs a pass to listen under a new id.
    pub fn listen_pass(&self, expires: SystemTime, scope: Scope) -> String {
        self.listen.now.sign(&Listen { id: new_id(), scope, expires })
    }

    /// Signs a grant to rehearse the server at `origin` with up to `listeners_max` listeners, under a new id.
    pub fn rehearsal_grant(&self, expires: SystemTime, origin: Origin, listeners_max: u32) -> String {
        self.rehearsal.sign(&Rehearsal { id: new_id(), origin, listeners_max, expires })
    }

    /// What the claims of a grant to rehearse say, and the proof that this house issued such a grant, if it did.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub fn prove(&self, now: SystemTime, claims: &str, nonce: &Nonce) -> Result<(Rehearsal, Proof), Refusal> {
        self.rehearsal.prove(now, claims, nonce)
    }

    /// Checks a pass of the stage.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub fn stage(&self, now: SystemTime, token: &str) -> Result<StagePass, Refusal> {
        match self.verifier.verify(now, token) {
            // A pass to listen that is good is not enough; anything else of another kind is no pass of ours.
            Err(Refusal::WrongKind) if self.listened(now, token).is_ok() => Err(Refusal::WrongRole),
            checked => checked,
        }
    }

    /// May the holder of this token, a pass to listen, hear that space?
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub fn listens(&self, now: SystemTime, token: &str, space: &str) -> Result<(), Refusal> {
        self.listened(now, token)?.admits(space)
    }

    fn listened(&self, now: SystemTime, token: &str) -> Result<Listen, Refusal> {
        self.listen.check(|key| key.verify(now, token))
    }

    /// May the holder of this token see that space? Any pass for it will do.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub fn sees(&self, now: SystemTime, token: &str, space: &str) -> Result<(), Refusal> {
        match self.verifier.verify(now, token) {
            Err(Refusal::WrongKind) => self.listens(now, token, space),
            pass => pass?.sees(space),
        }
    }
}

fn new_id() -> PassId {
    let mut id = [0; 8];
    getrandom::fill(&mut id).expect("the kernel has random numbers");
    PassId(id)
}
