//! One certificate from an authority: RFC 8555 from the account to the chain, the name proven over HTTP (§8.3).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use hiwar_delivery::http::Certificate;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use serde::Deserialize;

use super::client::Client;
use super::file::{self, Leaf};
use super::{Challenges, now};
use crate::config::Acme;
use crate::config::host::Host;

/// How long an authority may take to look, and again to sign. Let's Encrypt takes seconds.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(90));

/// What is not known any more (RFC 8555 §6.7).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// It gave too old a number to each of several requests: chance, and worth another try at once.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";

/// Why there is no certificate: what to look at, in words for an operator.
#[derive(Debug)]
pub(super) enum Failure {
    /// This server trusts nobody, or cannot keep what it obtains.
    Here(String),
    /// The authority could not be asked.
    Unreachable(String),
    /// It did not answer in a way that is understood, or not in time.
    Unclear(String),
    /// It took what it had just given for too old.
    Stale(String),
    /// It does not want to.
    Refused(String),
    /// It was asked too often.
    TooOften(String),
    /// It looked, and did not find this server behind the name.
    Unproven(String),
    /// What it gave is no certificate for this name.
    Useless(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(why) => f.write_str(why),
            Self::Unreachable(why) => {
                write!(
                    f,
                    "the certificate authority cannot be reached: {why}. Check this machine's own DNS and its way out, acme.directory and acme.root"
                )
            }
            Self::Unclear(why) => write!(f, "the certificate authority is not understood: {why}. Check acme.directory"),
            Self::Refused(why) | Self::Stale(why) => write!(f, "the certificate authority refuses: {why}"),
            Self::TooOften(why) => {
                write!(f, "the certificate authority was asked too often: {why}. It is asked again later, by itself")
            }
            Self::Unproven(why) => write!(
                f,
                "the certificate authority did not find this server behind the name: {why}. Check that the name's A and AAAA records in DNS lead to this \
                 machine, every one of them, and that port 80 is open to everyone"
            ),
            Self::Useless(why) => write!(f, "what the certificate authority gave cannot be used: {why}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(why: Error) -> Self {
        match why {
            Error::Api(problem) if problem.r#type.as_deref() == Some(RATE_LIMITED) => Self::TooOften(said(&problem)),
            Error::Api(problem) if problem.r#type.as_deref() == Some(BAD_NONCE) => Self::Stale(said(&problem)),
            Error::Api(problem) => Self::Refused(said(&problem)),
            // What our own client says.
            Error::Other(why) => Self::Unreachable(why.to_string()),
            other => Self::Unclear(other.to_string()),
        }
    }
}

/// The authority's own words, on one line: they go into the log.
fn said(problem: &instant_acme::Problem) -> String {
    let words = problem.detail.as_deref().or(problem.r#type.as_deref()).unwrap_or("it does not say why");
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_LENGTH_MAX).collect()
}

/// Letters of an authority's words that are worth repeating.
const SAID_LENGTH_MAX: usize = 500;

/// Obtains a certificate for one name: chain and key, in PEM.
///
/// # Errors
/// As [`Failure`] says.
pub(super) async fn obtain(
    acme: &Acme,
    name: &Host,
    account: &Path,
    challenges: &Challenges,
) -> Result<String, Failure> {
    match ask(acme, name, account, challenges).await {
        Err(Failure::Stale(_)) => ask(acme, name, account, challenges).await,
        asked => asked,
    }
}

async fn ask(acme: &Acme, name: &Host, account: &Path, challenges: &Challenges) -> Result<String, Failure> {
    let client = Client::new(acme.root.as_deref()).map_err(Failure::Here)?;
    let mut order = match order(&client, acme, name, account).await {
        // Forgotten there, so forgotten here too.
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_ACCOUNT) => {
            std::fs::remove_file(account).map_err(|why| unwritable(account, &why))?;
            order_or_say(order(&client, acme, name, account).await, account)?
        }
        ordered => order_or_say(ordered, account)?,
    };
    prove(&mut order, challenges).await?;
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let text = format!("{}\n{key}", chain.trim_end());
    let leaf = Leaf::of(text.as_bytes()).map_err(Failure::Useless)?;
    Certificate::from_pem(text.as_bytes(), text.as_bytes()).map_err(|why| Failure::Useless(why.to_string()))?;
    if !leaf.is_for(name) {
        return Err(Failure::Useless(format!("it is for {}", leaf.names.join(", "))));
    }
    if leaf.validity.until <= now() {
        return Err(Failure::Useless("it has expired already: is this machine's clock right?".into()));
    }
    Ok(text)
}

fn order_or_say(ordered: Result<Order, Error>, account: &Path) -> Result<Order, Failure> {
    ordered.map_err(|why| match why {
        Error::Other(why) => match why.downcast::<std::io::Error>() {
            Ok(why) => unwritable(account, &why),
            Err(why) => Failure::Unreachable(why.to_string()),
        },
        why => why.into(),
    })
}

fn unwritable(path: &Path, why: &dyn fmt::Display) -> Failure {
    Failure::Here(format!("cannot write {}: {why}", path.display()))
}

async fn order(client: &Client, acme: &Acme, name: &Host, account: &Path) -> Result<Order, Error> {
    let account = open_account(client, acme, account).await?;
    account.new_order(&NewOrder::new(&[Identifier::Dns(name.to_string())])).await
}

/// The account of this server, as the file has it if it is of the same directory; else a new one.
async fn open_account(client: &Client, acme: &Acme, path: &Path) -> Result<Account, Error> {
    #[derive(Deserialize)]
    struct Whose {
        directory: Option<String>,
    }
    if let Ok(text) = std::fs::read(path)
        && let Ok(whose) = serde_json::from_slice::<Whose>(&text)
        && whose.directory.as_ref() == Some(&acme.directory)
        && let Ok(credentials) = serde_json::from_slice::<AccountCredentials>(&text)
    {
        return Account::builder_with_http(Box::new(client.clone())).from_credentials(credentials).await;
    }
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    let wish = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let (account, credentials) = builder.create(&wish, acme.directory.clone(), None).await?;
    file::replace(path, &serde_json::to_vec(&credentials)?).map_err(|why| Error::Other(Box::new(why)))?;
    Ok(account)
}

/// Shows the authority that the name is ours.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<(), Failure> {
    // Answered until this returns.
    let mut shown = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            other => return Err(Failure::Refused(format!("the proof of the name is {other:?}"))),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .ok_or_else(|| Failure::Refused("it does not offer proof over HTTP (http-01)".into()))?;
        let answer = challenge.key_authorization().as_str().to_owned();
        shown.push(challenges.show(challenge.token.clone(), answer));
        challenge.set_ready().await?;
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) => Err(Failure::Unproven(why_not(order).await)),
        Err(Error::Api(problem)) => {
            let words = why_not(order).await;
            Err(Failure::Unproven(if words.is_empty() { said(&problem) } else { words }))
        }
        Err(why) => Err(why.into()),
    }
}

/// What the authority found instead.
async fn why_not(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await
            && let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref())
        {
            return said(problem);
        }
    }
    String::new()
}
