//! Certificates on disk: read, judged, and replaced in one step.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hiwar_delivery::http::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use super::schedule::Validity;
use crate::config::host::Host;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) validity: Validity,
    /// The names it is for.
    pub(super) names: Vec<String>,
    /// Nobody vouches for it: the placeholder before the first is so.
    pub(super) is_self_signed: bool,
}

impl Leaf {
    /// Reads the first certificate of a text in PEM.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn of(pem: &[u8]) -> Result<Self, String> {
        let first = CertificateDer::from_pem_slice(pem).map_err(|why| format!("no certificate can be read: {why}"))?;
        let (_, leaf) =
            x509_parser::parse_x509_certificate(&first).map_err(|why| format!("the certificate is damaged: {why}"))?;
        let time = |at: x509_parser::time::ASN1Time| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.timestamp()).unwrap_or_default())
        };
        let validity = Validity { from: time(leaf.validity().not_before), until: time(leaf.validity().not_after) };
        let named = leaf.subject_alternative_name().ok().flatten();
        let names = named.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        Ok(Self { validity, names: names.collect(), is_self_signed: leaf.issuer() == leaf.subject() })
    }

    /// Whether it is for this name, by itself or by a wildcard (RFC 9525 §6.3).
    pub(super) fn is_for(&self, host: &Host) -> bool {
        let parent = host.as_str().split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            name.eq_ignore_ascii_case(host.as_str())
                || name.strip_prefix("*.").zip(parent).is_some_and(|(name, parent)| name.eq_ignore_ascii_case(parent))
        })
    }
}

/// Writes a placeholder where there is no usable certificate, so that workers can begin before the first is obtained. Browsers warn of it.
///
/// # Errors
/// The file cannot be written; in words for an operator.
pub(super) fn ensure(path: &Path, host: &Host) -> Result<(), String> {
    let say = |why: &dyn std::fmt::Display| format!("cannot use {}: {why}", path.display());
    let unusable = match std::fs::read(path) {
        Ok(text) => Certificate::from_pem(&text, &text).err().map(|why| why.to_string()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Some(String::new()),
        Err(why) => return Err(say(&why)),
    };
    let Some(why) = unusable else { return Ok(()) };
    if !why.is_empty() {
        tracing::warn!("{} is replaced: {why}", path.display());
    }
    let text = placeholder(host).map_err(|why| say(&why))?;
    replace(path, text.as_bytes()).map_err(|why| say(&why))
}

fn placeholder(host: &Host) -> Result<String, rcgen::Error> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(vec![host.to_string()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Hiwar, until a certificate is obtained");
    Ok(format!("{}{}", params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Puts a secret in place in one step: who reads sees the old or the new, whole.
///
/// # Errors
/// Those of the system.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let aside = path.with_extension(format!("new.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let replaced = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&aside, path));
    if let Err(why) = replaced {
        // A half of it must not take up a disk that is full.
        let _ = std::fs::remove_file(&aside);
        return Err(why);
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_serves_and_is_known_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let (host, path) = (Host::parse("talk.example").unwrap(), dir.path().join("tls/talk.example.pem"));
        ensure(&path, &host).unwrap();
        let text = std::fs::read(&path).unwrap();
        let leaf = Leaf::of(&text).unwrap();
        assert!(leaf.is_self_signed && leaf.is_for(&host), "{leaf:?}");
        assert!(!leaf.is_for(&Host::parse("other.example").unwrap()));
        ensure(&path, &host).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), text, "one that can be used stays");
        std::fs::write(&path, "half a cert").unwrap();
        ensure(&path, &host).unwrap();
        assert!(Leaf::of(&std::fs::read(&path).unwrap()).unwrap().is_self_signed);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_put_in_its_place_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("talk.example.pem");
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        replace(&path, b"a certificate").unwrap_err();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [path]);
    }

    #[test]
    fn a_wildcard_is_for_one_label() {
        let at = SystemTime::UNIX_EPOCH;
        let validity = Validity { from: at, until: at };
        let leaf = Leaf { validity, names: vec!["*.talk.example".into()], is_self_signed: false };
        let check = |host, expected| assert_eq!(leaf.is_for(&Host::parse(host).unwrap()), expected, "{host}");
        check("hls.talk.example", true);
        check("talk.example", false);
        check("a.b.talk.example", false);
    }
}
