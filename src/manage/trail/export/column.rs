use std::borrow::Cow;

use crate::{
    audit::Subject,
    manage::{
        names::{Mentions, Naming},
        trail::query::AuditEntry,
    },
    words::words,
};

words! {
    /// A column of a [table](crate::manage::ExportFormat::Csv) of the audit trail. New ones are added at the end.
    ///
    /// ```
    /// use tower_api_keys::manage::TrailColumn;
    ///
    /// assert_eq!(TrailColumn::ALL[3].as_str(), "action");
    /// ```
    #[non_exhaustive]
    pub enum TrailColumn {
        /// Its sequence number in the log.
        Sequence = "sequence",
        /// When it happened, in RFC 3339.
        At = "at",
        /// The actor: `user:`, `key:` or `system:`, and an id.
        Actor = "actor",
        /// What was done, in two words.
        Action = "action",
        /// The kind of subject: `key`, `owner` or `organization`.
        Subject = "subject",
        /// The key that it is about.
        Key = "key",
        /// `user` or `team`: the owner that it is about, or of the key.
        OwnerKind = "owner_kind",
        /// The owner's id.
        Owner = "owner",
        /// The value before the change, as stored.
        Before = "before",
        /// The value after the change, as stored.
        After = "after",
        /// The source of the request.
        Source = "source",
        /// `subject` or `organization`: who may read it.
        Audience = "audience",
        /// The key that acted.
        ActingKey = "acting_key",
        /// `user` or `team`: the owner of the key that acted.
        OnBehalfOfKind = "on_behalf_of_kind",
        /// That owner's id.
        OnBehalfOf = "on_behalf_of",
        /// The organization it concerns.
        Organization = "organization",
        /// The name of the person who did it. Empty where a [`Directory`](crate::manage::Directory) does not give it,
        /// like the other names.
        ActorName = "actor_name",
        /// The name of the owner.
        OwnerName = "owner_name",
        /// The name of the owner of the key that acted.
        OnBehalfOfName = "on_behalf_of_name",
        /// `false` if the directory did not answer about all people and teams of the event; else `true`.
        NamesComplete = "names_complete",
    }
}

impl TrailColumn {
    /// The text of the cell, before it is made safe.
    pub(super) fn cell<'a>(self, entry: &'a AuditEntry, naming: &'a Naming) -> Cow<'a, str> {
        let (event, names) = (&entry.event, naming.names());
        let (owner, on_behalf_of) = (event.subject.owner(), entry.on_behalf_of.as_ref());
        let known = |text: Option<&'a str>| Cow::Borrowed(text.unwrap_or_default());
        match self {
            Self::Sequence => event.sequence.to_string().into(),
            Self::At => event.at.to_string().into(),
            Self::Actor => event.actor.to_string().into(),
            Self::Action => event.action.as_str().into(),
            Self::Subject => match event.subject {
                Subject::Key(..) => "key",
                Subject::Organization => "organization",
                Subject::Owner(_) => "owner",
            }
            .into(),
            Self::Key => match &event.subject {
                Subject::Key(id, _) => id.as_str().into(),
                Subject::Organization | Subject::Owner(_) => "".into(),
            },
            Self::OwnerKind => known(owner.map(|owner| owner.kind().as_str())),
            Self::Owner => known(owner.map(|owner| owner.id())),
            Self::Before => known(event.before.as_deref()),
            Self::After => known(event.after.as_deref()),
            Self::Source => known(event.source.as_deref()),
            Self::Audience => event.audience.as_str().into(),
            Self::ActingKey => known(entry.acting_key.as_ref().map(|key| key.as_str())),
            Self::OnBehalfOfKind => known(on_behalf_of.map(|owner| owner.kind().as_str())),
            Self::OnBehalfOf => known(on_behalf_of.map(|owner| owner.id())),
            Self::Organization => event.organization.as_str().into(),
            Self::ActorName => known(names.of_actor(&event.actor)),
            Self::OwnerName => known(owner.and_then(|owner| names.of_owner(owner))),
            Self::OnBehalfOfName => known(on_behalf_of.and_then(|owner| names.of_owner(owner))),
            Self::NamesComplete => {
                let mut mentions = Mentions::default();
                entry.mention(&mut mentions);
                naming.of(&mentions).is_complete().to_string().into()
            }
        }
    }
}
