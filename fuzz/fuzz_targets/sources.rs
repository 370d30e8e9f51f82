//! The name that a caller gives itself becomes a short name or nothing, and never holds a key.
#![no_main]

use std::{
    cell::RefCell,
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
};

use http::{HeaderValue, Request, Response, header::USER_AGENT};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, RefusalCode,
    auth::Addresses,
    key::contains_key,
    middleware::Sources,
    store::MemoryStore,
    usage::{Outcome, Source, UsageCount},
};

/// The number of requests after which counting starts again: each is counted under its own label.
const MOST: usize = 200;

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

// The first byte is read as three switches, sixteen bytes make an address, and the rest is the name that the client
// gives itself.
fuzz_target!(|data: &[u8]| {
    let Some((&switches, rest)) = data.split_first() else { return };
    let Some((address, said)) = rest.split_first_chunk::<16>() else { return };
    names(&String::from_utf8_lossy(said));
    SCENE.with_borrow_mut(|scene| {
        let fresh = scene.take().filter(|scene| scene.requests < MOST).unwrap_or_else(Scene::new);
        scene.insert(fresh).request(switches, Ipv6Addr::from(*address).into(), said);
    });
});

/// An accepted name stays the same, in one line and in JSON.
fn names(text: &str) {
    let Ok(label) = Source::new(text) else { return };
    assert!(!text.is_empty() && text.len() <= 128 && !text.contains(char::is_control), "{text:?}");
    assert_eq!((label.label(), label.client(), label.network(), &*label.to_string()), (text, "", "", text));
    let whole = label.with_client(text).and_then(|source| source.with_network(text)).expect("the same rule");
    assert_eq!(whole.to_string(), format!("{text}/{text}@{text}"));
    let json = serde_json::to_value(&whole).expect("text");
    assert_eq!(json, serde_json::json!({"label": text, "client": text, "network": text}));
    assert!(whole != label && !whole.is_empty());
}

struct Scene {
    runtime: Runtime,
    keys: ApiKeys<MemoryStore>,
    system: Actor,
    requests: usize,
}

impl Scene {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let keys = runtime
            .block_on(ApiKeys::builder(MemoryStore::new()).addresses(Addresses::peer(|peer: &IpAddr| *peer)).build())
            .expect("keys");
        Self { keys, runtime, system: Actor::system("fuzz").expect("an actor"), requests: 0 }
    }

    /// Sends a request without a key, which is counted by its source.
    fn request(&mut self, switches: u8, address: IpAddr, said: &[u8]) {
        let (is_named, has_address, is_whole) = (switches & 1 > 0, switches & 2 > 0, switches & 4 > 0);
        self.requests += 1;
        let label = format!("layer {}", self.requests);
        let text = String::from_utf8_lossy(said).into_owned();
        let mut sources = Sources::new();
        if is_named {
            sources = sources.with_client(move |_| Some(text.clone()));
        }
        if has_address {
            sources = sources.with_networks();
        }
        if is_whole {
            sources = sources.with_whole_addresses();
        }
        let layer = self.keys.layer().source(Source::new(&label).expect("a label")).sources(sources);
        let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
        let mut request = Request::new(());
        request.extensions_mut().insert(address);
        let agent = HeaderValue::from_bytes(said);
        if let Ok(agent) = &agent {
            request.headers_mut().insert(USER_AGENT, agent.clone());
        }
        self.runtime.block_on(service.oneshot(request)).expect("no error is possible");

        let count = self.count(&label);
        assert_eq!((count.outcome, count.count), (Outcome::Refused(RefusalCode::MissingCredentials), 1));
        let client = count.source.client();
        let network = if has_address { network(address.to_canonical(), is_whole) } else { String::new() };
        assert_eq!(count.source.network(), network);
        if is_named {
            assert!(!client.contains(['/']) && !client.contains(char::is_control), "{client:?}");
            assert!(
                client.chars().count() <= 64 && client.trim_start() == client && !contains_key(client),
                "{client:?}"
            );
        } else {
            assert_eq!(client, agent.map_or("", |_| product(said)), "{}", said.escape_ascii());
        }
    }

    fn count(&self, label: &str) -> UsageCount {
        let refusals = self.runtime.block_on(async {
            self.keys.flush_usage().await.expect("a store in the process");
            self.keys.manager().refusals_without_key(&self.system).await.expect("counts")
        });
        let mut counts = refusals.detail.counts.into_iter().filter(|count| count.source.label() == label);
        let (Some(count), None) = (counts.next(), counts.next()) else { panic!("not one count of {label}") };
        count
    }
}

/// An independent reader for the name of the first product of a user agent (RFC 9110 §10.1.5). Returns nothing for a
/// name that does not end soon, or that may hold the secret of a key.
fn product(agent: &[u8]) -> &str {
    let name = agent.split(|byte| b"/ ".contains(byte)).next().unwrap_or_default();
    let is_endless = name.len() >= 256 && agent.len() > 256;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let mut words = name.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte));
    let is_secret = words.any(|word| word.len() >= 48);
    match std::str::from_utf8(name) {
        Ok(name) if !is_endless && !is_secret && name.bytes().all(|byte| is_token(&byte)) && !contains_key(name) => {
            &name[..name.len().min(64)]
        }
        _ => "",
    }
}

fn network(address: IpAddr, is_whole: bool) -> String {
    match address {
        _ if is_whole => address.to_string(),
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
    }
}
