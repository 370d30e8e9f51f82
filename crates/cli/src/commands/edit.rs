use std::collections::BTreeMap;

use clap::Args;
use tower_api_keys::{KeyId, Scope, Timestamp, manage::EditKey, record::Labels};

use super::{
    create::{networks, scopes},
    key_rows::about,
};
use crate::{arguments::values, exit::Exit, failure::Failure, open::Session, output::Screen};

/// Change the name, labels, scopes, networks or end of a key
#[derive(Args)]
pub(crate) struct Edit {
    /// The id of the key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// A new name
    #[arg(long)]
    name: Option<String>,
    /// A label with its new value; the other labels stay; may be repeated
    #[arg(long, value_name = "LABEL=VALUE", value_parser = values::label)]
    label: Vec<(String, String)>,
    /// A label to take away; may be repeated
    #[arg(long, value_name = "LABEL")]
    remove_label: Vec<String>,
    /// The scopes that the key keeps; may be repeated
    #[arg(long, value_name = "SCOPE", value_parser = values::scope)]
    narrow_to: Vec<Scope>,
    /// The networks that the key may be used from; may be repeated
    #[arg(long, value_name = "NETWORK", conflicts_with = "any_network")]
    network: Vec<String>,
    /// Let the key be used from everywhere
    #[arg(long)]
    any_network: bool,
    /// Who is responsible for the key; an empty text takes it away
    #[arg(long, value_name = "PERSON|CHANNEL")]
    responsible: Option<String>,
    /// An earlier end: a date, a time, or a length of time such as 90d
    #[arg(long, value_name = "TIME", value_parser = values::later)]
    expires: Option<Timestamp>,
    /// Only if the key still has this version, which `show --json` says
    #[arg(long, value_name = "NUMBER")]
    if_version: Option<i64>,
}

impl Edit {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let request = self.request(session).await?;
        let edited = session.manager.edit(request, &session.actor).await;
        let key = edited.map_err(|error| Failure::from(error).not("changed"))?;
        if screen.is_json() {
            screen.document(&key)?;
        } else {
            screen.line(format!("Changed: {}.", about(&key)))?;
        }
        Ok(Exit::Done)
    }

    async fn request(&self, session: &Session) -> Result<EditKey, Failure> {
        let (mut request, mut is_empty) = (EditKey::of(self.id), true);
        let mut set = |given: bool, change: &dyn Fn(EditKey) -> EditKey| {
            if given {
                is_empty = false;
                request = change(request.clone());
            }
        };
        let (scopes, networks) = (scopes(&self.narrow_to), networks(&self.network)?);
        set(self.name.is_some(), &|request| request.named(self.name.clone().unwrap_or_default()));
        set(self.responsible.is_some(), &|request| request.responsible(self.responsible.clone().unwrap_or_default()));
        if let Some(scopes) = &scopes {
            set(true, &|request| request.scopes(scopes.clone()));
        }
        set(networks.is_some() || self.any_network, &|request| request.networks(networks.clone()));
        if let Some(end) = self.expires {
            set(true, &|request| request.expires_at(end));
        }
        if let Some(version) = self.if_version {
            request = request.expecting(version);
        }
        if !self.label.is_empty() || !self.remove_label.is_empty() {
            let key = session.manager.find(&self.id, &session.actor).await?;
            // Somebody may change the labels meanwhile: theirs must not be lost.
            request = request.labels(self.labels(&key.labels)?).expecting(self.if_version.unwrap_or(key.version));
            is_empty = false;
        }
        if is_empty {
            return Err(Failure::usage(
                "Nothing to change: say what, such as --name. `apikeys edit --help` has the list.",
            ));
        }
        Ok(request)
    }

    fn labels(&self, now: &Labels) -> Result<Labels, Failure> {
        let own = |(label, value): (&str, &str)| (label.to_owned(), value.to_owned());
        let mut labels: BTreeMap<String, String> = now.iter().map(own).collect();
        self.remove_label.iter().for_each(|label| drop(labels.remove(label)));
        labels.extend(self.label.iter().cloned());
        Labels::new(labels).map_err(|error| Failure::usage(error.sentence().to_string()))
    }
}
