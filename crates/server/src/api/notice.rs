//! What whoever runs a conversation is told about this server: problem details of things that have not gone wrong yet.

use hiwar_admission::Grant;
use serde::Serialize;
use utoipa::ToSchema;

use super::speech::{Language, Word};
use super::{Api, caller::Caller};
use crate::disk::{self, Room};

/// Something that a host, or whoever runs this server, should know now.
#[derive(Serialize, ToSchema)]
pub(super) struct Notice {
    /// `disk-little`: make room. `disk-scarce`: new conversations are refused.
    kind: &'static str,
    /// What it is, for people, in their language.
    title: String,
    /// What to do about it, for people, in their language.
    detail: String,
    /// The language of title and detail.
    lang: &'static str,
}

fn all(disk: &disk::Watch, language: Language) -> Vec<Notice> {
    let (room, usage) = disk.found();
    let kind = match room {
        Room::Plenty => return Vec::new(),
        Room::Little => "disk-little",
        Room::Scarce => "disk-scarce",
    };
    let percent = usage.map_or(0, |usage| usize::try_from(usage.percent()).unwrap_or(100));
    let say = |key: &str| language.say(key, &[("percent", Word::Number(percent))]);
    let (title, detail) = (say(&format!("notice-{kind}")), say(&format!("notice-{kind}.detail")));
    vec![Notice { kind, title, detail, lang: language.code() }]
}

/// What whoever reads `/status` is told of it.
pub fn notices(disk: &disk::Watch, language: Language) -> Vec<String> {
    all(disk, language).into_iter().map(|notice| notice.title).collect()
}

impl Api {
    /// What there is to tell, in this language.
    pub(super) fn notices(&self, language: Language) -> Vec<Notice> {
        all(&self.disk, language)
    }

    /// The same for whoever may make or host conversations; a listener can do nothing about a disk.
    pub(super) fn notices_for(&self, caller: &Caller) -> Vec<Notice> {
        let host =
            caller.pass(&self.keys).is_ok_and(|pass| pass.creates().is_ok() || matches!(pass.grant, Grant::Host(..)));
        if host { self.notices(caller.language) } else { Vec::new() }
    }
}
