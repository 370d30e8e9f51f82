//! A node, and the handle by which the driver controls it.

use std::{
    collections::HashMap,
    env,
    error::Error,
    io::{Write, stdout},
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, stdin},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tower_api_keys::{
    ApiKeys, Principal,
    hash::{Argon2Params, HasherConfig},
    store::{PostgresSettings, PostgresStore},
};

use crate::{
    arguments::Mode,
    change::{Change, PATIENCE},
};

/// The argument that makes this program a node. The node reads its settings from standard input, so that no list of
/// processes shows the password of the database. It ends when its standard input ends.
pub(crate) const ARGUMENT: &str = "--node";

/// How long the faulty cache remembers that a key was accepted: longer than the bound.
const CACHED: Duration = Duration::from_secs(2);

/// The value for every time limit.
const LONG: Duration = Duration::from_secs(20);

/// Opens the keys in this schema. Hashes are cheap, because the cost of a first use is not measured here. Time limits
/// are long, because the load of the machine is not measured either.
pub(crate) async fn open(
    url: &str,
    schema: &str,
    mode: Mode,
) -> Result<ApiKeys<PostgresStore>, Box<dyn Error + Send + Sync>> {
    let settings = PostgresSettings::new().with_schema(schema).with_connect_timeout(LONG).with_answer_timeout(LONG);
    let hasher = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_check_wait(LONG);
    let store = PostgresStore::connect_with(url, settings).await?;
    let builder = ApiKeys::builder(store).hasher(hasher).answer_timeout(LONG).store_timeout(LONG);
    Ok(builder.freshness(mode.freshness()).build().await?)
}

/// Serves until standard input ends, and makes the changes that arrive there.
pub(crate) async fn serve() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut orders = BufReader::new(stdin()).lines();
    let settings = orders.next_line().await?.unwrap_or_default();
    let mut settings = settings.splitn(4, ' ');
    let mut setting = || settings.next().ok_or("a setting is missing");
    let (mode, schema, answer_cache) = (setting()?.parse::<Mode>()?, setting()?, setting()?.parse::<bool>()?);
    let keys = open(setting()?, schema, mode).await?;

    let mut app = Router::new().route("/", get(greet)).layer(keys.layer());
    if answer_cache {
        app = app.layer(from_fn_with_state(AnswerCache::default(), remembered));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string())?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let served = axum::serve(listener, app).into_future();
    tokio::select! { ended = served => ended?, ended = obey(&keys, &mut orders) => ended? }
    Ok(keys.shutdown().await?)
}

async fn obey<R>(keys: &ApiKeys<PostgresStore>, orders: &mut Lines<R>) -> Result<(), Box<dyn Error + Send + Sync>>
where
    R: AsyncBufReadExt + Unpin,
{
    while let Some(order) = orders.next_line().await? {
        if order == "reads" {
            say(&keys.authenticator().metrics().freshness_reads.to_string())?;
        } else {
            order.parse::<Change>()?.make(&keys.manager()).await?;
            say("done")?;
        }
    }
    Ok(())
}

async fn greet(caller: Principal) -> String {
    format!("{}\n", caller.owner())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(stdout(), "{line}")?;
    stdout().flush()
}

/// The mistake that this crate avoids: the cache does not ask the layer about a key that the layer accepted a moment
/// ago.
#[derive(Clone, Default)]
struct AnswerCache(Arc<Mutex<HashMap<Vec<u8>, Instant>>>);

async fn remembered(State(cache): State<AnswerCache>, request: Request, next: Next) -> Response {
    let key = request.headers().get(header::AUTHORIZATION).map(|key| key.as_bytes().to_vec()).unwrap_or_default();
    let accepted = cache.0.lock().ok().and_then(|cache| cache.get(&key).copied());
    if accepted.is_some_and(|at| at.elapsed() < CACHED) {
        return "remembered\n".into_response();
    }
    let answer = next.run(request).await;
    if answer.status() == StatusCode::OK
        && let Ok(mut cache) = cache.0.lock()
    {
        cache.insert(key, Instant::now());
    }
    answer
}

/// A node as the driver sees it. Dropping this kills the process.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Node {
    pub(crate) async fn start(
        mode: Mode,
        schema: &str,
        answer_cache: bool,
        url: &str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut process = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (orders, answers) = process.stdin.take().zip(process.stdout.take()).ok_or("a node without pipes")?;
        let answers = BufReader::new(answers).lines();
        let mut node = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), process, orders, answers };
        node.address = node.order(&format!("{mode} {schema} {answer_cache} {url}")).await?.parse()?;
        Ok(node)
    }

    /// Sends an order to the node, and returns its answer.
    pub(crate) async fn order(&mut self, order: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let answer =
            timeout(2 * PATIENCE, self.answers.next_line()).await.map_err(|_| "a node did not answer in time")?;
        Ok(answer?.ok_or("a node has ended")?)
    }

    pub(crate) async fn reads(&mut self) -> Result<u64, Box<dyn Error + Send + Sync>> {
        Ok(self.order("reads").await?.parse()?)
    }

    /// Lets the node write its counts and end.
    pub(crate) async fn end(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Self { mut process, orders, .. } = self;
        drop(orders);
        let status = timeout(PATIENCE, process.wait()).await.map_err(|_| "a node did not end in time")??;
        if status.success() { Ok(()) } else { Err(format!("a node failed: {status}").into()) }
    }
}
