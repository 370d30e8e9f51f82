//! A server that proxies ask whether a request has a good key.

mod asked;
mod check;
mod headers;
mod listen;
mod log;
mod metrics;
mod page;
mod rate;
mod roles;
mod settings;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use governor::Quota;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tower_api_keys::auth::Freshness;
use tracing::{info, warn};

use self::{
    check::Check,
    listen::Port,
    log::Log,
    metrics::{Exposition, Figures},
    page::{Door, PageOptions},
    rate::{Rate, quota},
    settings::{Proxies, addresses},
};
use crate::{
    arguments::{Global, values},
    exit::Exit,
    failure::Failure,
    open::{Address, Checks, Session, Setup},
    output::{Screen, length},
};

/// How long requests that were begun may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Check keys for a proxy: nginx, Traefik, Envoy, Caddy
#[derive(Args)]
pub(crate) struct Serve {
    /// The address and port of /check; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7300")]
    listen: SocketAddr,
    /// How current records are: `strict`, or a bound, such as `2s`, for which a revoked key may pass
    #[arg(long, value_name = "FRESHNESS", default_value = "strict", value_parser = values::freshness)]
    freshness: Freshness,
    /// Keep the SQLite file for this process alone: faster, and no other command can open it meanwhile
    #[arg(long)]
    exclusive: bool,
    /// The address or network of a proxy whose X-Forwarded-For is believed; may be repeated
    #[arg(long, value_name = "NETWORK")]
    trust: Vec<String>,
    /// How many trusted proxies have added to X-Forwarded-For
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u8).range(1..), requires = "trust")]
    proxies: u8,
    /// The most requests with one key at this server, such as 100/s, 600/m or 5000/h [default: no limit]
    #[arg(long, value_name = "NUMBER/TIME", value_parser = quota)]
    rate: Option<Quota>,
    /// The address and port of /metrics, for Prometheus [default: none]
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    page: PageOptions,
}

/// The ports that are taken.
struct Ports {
    check: Port,
    metrics: Option<Port>,
    page: Option<Port>,
}

impl Serve {
    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        Log::begin();
        let signals = Signals::new().map_err(Failure::no_runtime)?;
        let proxies = Proxies::named("--trust", &self.trust)?;
        let door = self.page.door(global)?;
        let address = Address::of(global.store.as_deref())?;
        let store = if self.exclusive { address.open_alone(global).await? } else { address.open(global).await? };
        // Before keys describe their figures.
        let figures = self.metrics.map(|_| Figures::installed());
        let checks = Checks { freshness: self.freshness, addresses: addresses(proxies.as_ref(), self.proxies) };
        let has_organizations = self.page.has_organizations();
        let setup = Setup { checks, has_organizations, ..Setup::default() };
        let session = Session::over(store, global, setup).await?;
        let done = self.serve(&session, global, (proxies, door), figures, signals, screen).await;
        // Written even if requests were cut off.
        let closed = session.close().await;
        done.and_then(|exit| closed.map(|()| exit))
    }

    async fn serve(
        &self,
        session: &Session,
        global: &Global,
        (proxies, door): (Option<Proxies>, Option<Door>),
        figures: Option<Figures>,
        mut signals: Signals,
        screen: &mut Screen,
    ) -> Result<Exit, Failure> {
        let log = Arc::new(Log::default());
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let page = match door {
            Some(door) => Some(self.page.page(door, &session.keys, Arc::clone(&log))?),
            None => None,
        };
        let ports = Ports::bind(self).await?;
        self.say(&ports, screen)?;

        let rate = self.rate.map(|quota| Arc::new(Rate::new(quota)));
        if let Some(rate) = &rate {
            // Not one of the servers: it ends with the process.
            tokio::spawn(Arc::clone(rate).forget());
        }
        let layer = match &global.organization {
            Some(organization) => session.keys.layer_for(organization.clone()),
            None => session.keys.layer(),
        };
        servers.spawn(ports.check.serve(
            Check::new(&layer, rate, proxies, Arc::clone(&log)),
            stopped.clone(),
            Arc::clone(&log),
        ));
        if let Some((port, page)) = ports.page.zip(page) {
            servers.spawn(port.serve(page, stopped.clone(), Arc::clone(&log)));
        }
        if let Some((port, figures)) = ports.metrics.zip(figures) {
            let exposition = Exposition { figures, keys: session.keys.authenticator() };
            servers.spawn(port.serve(exposition, stopped.clone(), Arc::clone(&log)));
        }
        signals.next().await;
        info!("Stopping: requests that were begun are finished. A second signal ends this at once.");
        stop.send_replace(true);
        tokio::select! {
            finished = timeout(GRACE, servers.join_all()) => {
                if finished.is_err() {
                    warn!("Some requests were not finished within {}, and were cut off.", length(GRACE));
                }
                Ok(Exit::Done)
            }
            () = signals.next() => Err(Failure::interrupted(false)),
        }
    }

    /// Says where keys are checked, and how.
    fn say(&self, ports: &Ports, screen: &mut Screen) -> Result<(), Failure> {
        match self.freshness {
            Freshness::Bounded(bound) => {
                info!(
                    "A revoked key may pass for {} after it was revoked. With --freshness strict, none does.",
                    length(bound)
                );
            }
            _ => info!("A revoked key is refused on the next request."),
        }
        let Ports { check, metrics, page } = ports;
        if check.is_public() {
            warn!(
                "Everybody who reaches {} can ask whether a key is good: let only your proxies reach it.",
                check.address
            );
        }
        if screen.is_json() {
            screen.document(&serde_json::json!({
                "check": format!("http://{}/check", check.address),
                "metrics": metrics.as_ref().map(|port| format!("http://{}/metrics", port.address)),
                "page": page.as_ref().map(|port| format!("http://{}{}", port.address, self.page.path())),
            }))?;
        } else {
            screen.line(format!("Keys are checked at http://{}/check", check.address))?;
            if let Some(port) = metrics {
                screen.line(format!("Figures are at http://{}/metrics", port.address))?;
            }
            if let Some(port) = page {
                screen.line(format!("The page is at http://{}{}", port.address, self.page.path()))?;
            }
        }
        screen.flush()
    }
}

impl Ports {
    async fn bind(serve: &Serve) -> Result<Self, Failure> {
        let bound = async |address: Option<SocketAddr>| match address {
            Some(address) => Port::bind(address).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            check: Port::bind(serve.listen).await?,
            metrics: bound(serve.metrics).await?,
            page: bound(serve.page.page).await?,
        })
    }
}

/// What tells the server to stop.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on, these signals do not end the process.
    fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
    }
}
