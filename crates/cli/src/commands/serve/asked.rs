//! What the operator asks of the keys that pass: in the query of `/check`, or in the segment after it.

use std::fmt;

use http::Uri;
use tower_api_keys::{KeyKind, OrganizationId, Scope, TeamId, TeamRef, middleware::RequireKeyLayer};

pub(super) const PATH: &str = "/check";

/// The segment that asks for nothing.
const NOTHING: &str = "-";

/// What a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    Kind,
    Organization,
    Scope,
    Team,
}

/// Why a request cannot be judged: the configuration of the proxy is wrong. Then no key passes, since a word that is
/// ignored would let in keys that it was to keep out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Invalid(&'static str),
    Repeated(&'static str),
    Unknown,
}

/// What a key has to be, and has to have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    kind: Option<KeyKind>,
    organization: Option<OrganizationId>,
    scopes: Vec<Scope>,
    team: Option<TeamId>,
}

/// What a request to this address asks of a key; none if keys are not checked there.
///
/// `/check?scope=…` is for proxies that send an address of the operator alone. `/check/scope=…/…` is for those that put
/// the path and the query of the client behind it: there only the segment counts, so a client cannot add to it.
pub(super) fn asked_at(uri: &Uri) -> Option<Result<RequireKeyLayer, Mistake>> {
    let rest = uri.path().strip_prefix(PATH)?;
    let parameters = match rest.strip_prefix('/') {
        Some(rest) => match rest.split_once('/').map_or(rest, |(segment, _)| segment) {
            // Without a word for it, a prefix that lost its parameters would look the same.
            "" => return Some(Err(Mistake::Unknown)),
            NOTHING => "",
            segment => segment,
        },
        None if rest.is_empty() => uri.query().unwrap_or_default(),
        None => return None,
    };
    Some(Asked::parse(parameters).map(Asked::into_layer))
}

impl Asked {
    fn parse(parameters: &str) -> Result<Self, Mistake> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            let parameter = Parameter::named(&name).ok_or(Mistake::Unknown)?;
            let invalid = || Mistake::Invalid(parameter.name());
            let is_new = match parameter {
                Parameter::Kind => {
                    let kind = [KeyKind::User, KeyKind::Team].into_iter().find(|kind| kind.as_str() == value);
                    asked.kind.replace(kind.ok_or_else(invalid)?).is_none()
                }
                Parameter::Organization => {
                    let organization = OrganizationId::new(text(&value).ok_or_else(invalid)?);
                    asked.organization.replace(organization.map_err(|_| invalid())?).is_none()
                }
                Parameter::Scope => {
                    let is_new = asked.scopes.is_empty();
                    for scope in value.split(' ') {
                        asked.scopes.push(Scope::new(scope).map_err(|_| invalid())?);
                    }
                    is_new
                }
                Parameter::Team => {
                    let team = TeamId::new(text(&value).ok_or_else(invalid)?);
                    asked.team.replace(team.map_err(|_| invalid())?).is_none()
                }
            };
            if !is_new {
                return Err(Mistake::Repeated(parameter.name()));
            }
        }
        Ok(asked)
    }

    fn into_layer(self) -> RequireKeyLayer {
        let mut layer = self.scopes.into_iter().fold(RequireKeyLayer::new(), RequireKeyLayer::scope);
        if let Some(kind) = self.kind {
            layer = layer.kind(kind);
        }
        if let Some(team) = self.team {
            let organization = self.organization.clone().unwrap_or_else(OrganizationId::single);
            let team = TeamRef::new(organization, team);
            layer = layer.team(move |_| Some(team.clone()));
        }
        if let Some(organization) = self.organization {
            layer = layer.organization(move |_| Some(organization.clone()));
        }
        layer
    }
}

/// A text without what stands for bytes that are no UTF-8.
fn text(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.contains(char::REPLACEMENT_CHARACTER))
}

impl Parameter {
    const ALL: [Self; 4] = [Self::Kind, Self::Organization, Self::Scope, Self::Team];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Organization => "organization",
            Self::Scope => "scope",
            Self::Team => "team",
        }
    }
}

/// A sentence for the log. It repeats nothing of the request, which may be a client's.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(name) => write!(f, "the value of {name} is not valid, or empty"),
            Self::Repeated(name) => write!(f, "{name} is there twice"),
            Self::Unknown => {
                f.write_str("a parameter is not known: there are kind, organization, scope and team, and - for none")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(target: &str) -> Option<Mistake> {
        asked_at(&target.parse().unwrap()).expect("keys are checked there").err()
    }

    #[test]
    fn what_is_asked_for_is_read_from_the_query() {
        let asked =
            Asked::parse("scope=agents%3Aread+agents:write&kind=team&team=blue%2fgreen&organization=acme").unwrap();
        let scopes = ["agents:read", "agents:write"].map(|scope| Scope::new(scope).unwrap());
        assert_eq!(
            asked,
            Asked {
                kind: Some(KeyKind::Team),
                organization: Some(OrganizationId::new("acme").unwrap()),
                scopes: scopes.into(),
                team: Some(TeamId::new("blue/green").unwrap()),
            }
        );
        assert_eq!(Asked::parse("").unwrap(), Asked::default());
    }

    #[test]
    fn a_word_that_is_not_understood_asks_for_more_than_any_key_has() {
        for (query, expected) in [
            ("scop=agents:read", Mistake::Unknown),
            ("Scope=agents:read", Mistake::Unknown),
            ("scope=agents:read&verbose", Mistake::Unknown),
            ("agents:read", Mistake::Unknown),
            ("=agents:read", Mistake::Unknown),
            ("scope=agents:read&scope=agents:write", Mistake::Repeated("scope")),
            ("kind=team&kind=team", Mistake::Repeated("kind")),
            ("team=blue&team=blue", Mistake::Repeated("team")),
            ("organization=a&organization=b", Mistake::Repeated("organization")),
            ("scope=", Mistake::Invalid("scope")),
            ("scope", Mistake::Invalid("scope")),
            ("scope=*", Mistake::Invalid("scope")),
            ("scope=agents:read+", Mistake::Invalid("scope")),
            ("scope=agents:read++agents:write", Mistake::Invalid("scope")),
            ("scope=%22", Mistake::Invalid("scope")),
            ("scope=%FF", Mistake::Invalid("scope")),
            ("kind=", Mistake::Invalid("kind")),
            ("kind=personal", Mistake::Invalid("kind")),
            ("team=", Mistake::Invalid("team")),
            ("team=%FF", Mistake::Invalid("team")),
            ("organization=%0a", Mistake::Invalid("organization")),
        ] {
            assert_eq!(mistake(&format!("/check?{query}")), Some(expected), "{query}");
            assert_eq!(mistake(&format!("/check/{query}/orders?scope=x")), Some(expected), "{query}");
        }
    }

    #[test]
    fn what_a_client_adds_behind_the_segment_counts_for_nothing() {
        for target in
            ["/check/kind=team", "/check/kind=team/", "/check/kind=team//a/b?kind=user", "/check/-/?scope=", "/check/-"]
        {
            assert_eq!(mistake(target), None, "{target}");
        }
        for target in ["/check/", "/check//orders", "/check/orders?kind=team", "/check/-x/", "/check/kind=team&x/"] {
            assert_eq!(mistake(target), Some(Mistake::Unknown), "{target}");
        }
    }

    #[test]
    fn keys_are_checked_at_one_path_only() {
        for target in ["/", "/checks", "/Check", "//check", "/check%2F", "/checkout/kind=team"] {
            assert!(asked_at(&target.parse().unwrap()).is_none(), "{target}");
        }
    }
}
