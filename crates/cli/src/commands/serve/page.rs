//! The settings page behind a proxy that signs people in.

use std::{
    convert::Infallible,
    future::{Future, ready},
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use tower_api_keys::{Actor, ApiKeys, OrganizationId, Rights, UserId, store::AnyStore, usage::Source};
use tower_api_keys_http::{HttpBody, HttpService, page};
use tower_service::Service;

use super::{
    listen::Peer,
    log::{Complaint, Log},
    roles,
    settings::Proxies,
};
use crate::{arguments::Global, failure::Failure};

/// What the ids of people do not begin with: the service itself is no person.
const SYSTEM: &str = "system:";

/// The options of the page.
#[derive(Args)]
#[command(next_help_heading = "The settings page, behind a proxy that signs people in")]
pub(crate) struct PageOptions {
    /// The address and port of the page [default: no page]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "page_trust")]
    pub(super) page: Option<SocketAddr>,
    /// The address or network of the sign-in proxy: nobody else is answered; may be repeated
    #[arg(long, value_name = "NETWORK", requires = "page")]
    page_trust: Vec<String>,
    /// The header in which it says who is signed in
    #[arg(long, value_name = "HEADER", default_value = "x-auth-request-user", requires = "page")]
    page_user: HeaderName,
    /// The header in which it says their groups, such as apikeys:admin or apikeys:team:sales:member
    #[arg(long, value_name = "HEADER", requires = "page", conflicts_with = "page_roles_file")]
    page_groups: Option<HeaderName>,
    /// A file with their roles, in JSON: {"alice": ["admin"], "bob": ["team:sales:member"]}
    #[arg(long, value_name = "FILE", requires = "page")]
    page_roles_file: Option<PathBuf>,
    /// The header in which it says their organization, if the service has several
    #[arg(long, value_name = "HEADER", requires = "page", conflicts_with = "page_roles_file")]
    page_organization: Option<HeaderName>,
    /// The path of the page, such as /settings/api-keys [default: the root]
    #[arg(long, value_name = "PATH", requires = "page")]
    page_path: Option<String>,
    /// What the page calls your service
    #[arg(long, value_name = "NAME", default_value = "this service", requires = "page")]
    page_product: String,
}

/// Why the page does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    /// The request does not come from the sign-in proxy.
    Stranger,
    /// The sign-in proxy names nobody.
    Nobody,
    /// It says something that is not in the documented form.
    Unreadable,
    /// The file of the roles is not there, or is not in the documented form.
    File,
}

impl PageOptions {
    /// Whether people of several organizations are told apart.
    pub(super) const fn has_organizations(&self) -> bool {
        self.page_organization.is_some()
    }

    /// The page, if there is one.
    ///
    /// # Errors
    /// If an option is wrong.
    pub(super) fn door(&self, global: &Global) -> Result<Option<Door>, Failure> {
        let proxies = Proxies::named("--page-trust", &self.page_trust)?;
        let Some(proxies) = proxies.filter(|_| self.page.is_some()) else { return Ok(None) };
        if self.has_organizations() && global.organization.is_some() {
            return Err(Failure::usage("Give --organization or --page-organization, not both."));
        }
        let names = [Some(&self.page_user), self.page_groups.as_ref(), self.page_organization.as_ref()];
        let names: Vec<_> = names.into_iter().flatten().collect();
        if names.iter().enumerate().any(|(place, name)| names.iter().skip(place + 1).any(|other| other == name)) {
            return Err(Failure::usage("The headers of the page must have different names."));
        }
        let door = Door {
            proxies,
            user: self.page_user.clone(),
            groups: self.page_groups.clone(),
            roles_file: self.page_roles_file.clone(),
            organization: match (&self.page_organization, &global.organization) {
                (Some(header), _) => Organization::InHeader(header.clone()),
                (None, Some(organization)) => Organization::Always(organization.clone()),
                (None, None) => Organization::Single,
            },
        };
        // A mistake is found now, and not by the first person.
        let somebody = UserId::from(0_u64);
        if door.rights(&somebody, &HeaderMap::new()).is_err() {
            let text =
                "The roles cannot be read: --page-roles-file is JSON such as {\"alice\": [\"admin\"]}, at most 1 MiB.";
            return Err(Failure::usage(text));
        }
        Ok(Some(door))
    }

    /// The page behind the door.
    ///
    /// # Errors
    /// If the path is wrong.
    pub(super) fn page(&self, door: Door, keys: &ApiKeys<AnyStore>, log: Arc<Log>) -> Result<Page, Failure> {
        let mut inner = page::service(keys, page::Page::new(&self.page_product));
        if let Some(path) = &self.page_path {
            inner = inner.mounted_at(path).map_err(|error| Failure::option("--page-path", &error))?;
        }
        Ok(Page { inner, door: Arc::new(door), log })
    }

    /// The path of the page.
    pub(super) fn path(&self) -> &str {
        self.page_path.as_deref().unwrap_or("/")
    }
}

/// Who is let in, and as whom.
pub(super) struct Door {
    proxies: Proxies,
    user: HeaderName,
    groups: Option<HeaderName>,
    roles_file: Option<PathBuf>,
    organization: Organization,
}

enum Organization {
    Always(OrganizationId),
    InHeader(HeaderName),
    Single,
}

impl Door {
    /// The person who is signed in. It is never the system: nobody is the operator over HTTP.
    fn admit<B>(&self, request: &Request<B>) -> Result<Actor, NotAdmitted> {
        let peer = request.extensions().get::<Peer>().ok_or(NotAdmitted::Stranger)?;
        if !self.proxies.include(peer.0) {
            return Err(NotAdmitted::Stranger);
        }
        let headers = request.headers();
        let name = one(headers, &self.user)?.filter(|name| !name.is_empty()).ok_or(NotAdmitted::Nobody)?;
        // A comma is what joins two lines of one header: the proxy may have added its own to that of a client.
        if name.contains(',') || name.starts_with(SYSTEM) {
            return Err(NotAdmitted::Unreadable);
        }
        let user = UserId::new(name).map_err(|_| NotAdmitted::Unreadable)?;
        let rights = self.rights(&user, headers)?;
        let actor = Actor::user(user, rights);
        let actor = match &self.organization {
            Organization::Single => actor,
            Organization::Always(organization) => actor.with_organization(organization.clone()),
            Organization::InHeader(header) => {
                let organization = one(headers, header)?.filter(|id| !id.contains(','));
                let organization = organization.and_then(|id| OrganizationId::new(id).ok());
                actor.with_organization(organization.ok_or(NotAdmitted::Unreadable)?)
            }
        };
        Ok(Source::new("page").map_or(actor.clone(), |source| actor.with_source(source)))
    }

    fn rights(&self, user: &UserId, headers: &HeaderMap) -> Result<Rights, NotAdmitted> {
        match (&self.groups, &self.roles_file) {
            (Some(header), _) => {
                let groups = one(headers, header)?.unwrap_or_default();
                roles::of_groups(groups).map_err(|_| NotAdmitted::Unreadable)
            }
            (None, Some(file)) => roles::of_file(file, user).map_err(|_| NotAdmitted::File),
            (None, None) => Ok(roles::own()),
        }
    }
}

/// The value of a header that is there at most once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, NotAdmitted> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => std::str::from_utf8(line.as_bytes()).map(Some).map_err(|_| NotAdmitted::Unreadable),
        (Some(_), Some(_)) => Err(NotAdmitted::Unreadable),
    }
}

impl NotAdmitted {
    const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Stranger => (
                StatusCode::FORBIDDEN,
                "This page answers only the proxy that signs people in. Open it through that proxy.\n",
            ),
            Self::Nobody => (StatusCode::UNAUTHORIZED, "Nobody is signed in. Sign in, then open this page again.\n"),
            Self::Unreadable => (
                StatusCode::FORBIDDEN,
                "What the sign-in proxy says about you cannot be read. Tell the operator of this service.\n",
            ),
            Self::File => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The roles of people cannot be read at the moment. Tell the operator of this service.\n",
            ),
        }
    }
}

/// Answers people who are signed in.
#[derive(Clone)]
pub(super) struct Page {
    inner: HttpService,
    door: Arc<Door>,
    log: Arc<Log>,
}

type Body = Either<HttpBody, Full<Bytes>>;

impl Service<Request<Incoming>> for Page {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        match self.door.admit(&request) {
            Ok(actor) => {
                request.extensions_mut().insert(actor);
                let answer = self.inner.call(request);
                Box::pin(async move { Ok(answer.await?.map(Either::Left)) })
            }
            Err(reason) => {
                // Nobody has to look at this: people open the page before they sign in.
                if reason != NotAdmitted::Nobody {
                    self.log.complain(Complaint::NotAdmitted(reason));
                }
                let (status, text) = reason.answer();
                let mut response = Response::new(Either::Right(Full::from(text)));
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                Box::pin(ready(Ok(response)))
            }
        }
    }
}
