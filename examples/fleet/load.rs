//! The run: clients that send requests, tasks that change the keys, and the result.

use std::{
    error::Error,
    iter::zip,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{sleep, sleep_until},
};
use tower_api_keys::{ApiKeys, store::PostgresStore};

use crate::{
    arguments::Arguments,
    change::{Change, PATIENCE},
    changer::{Changer, SLOTS},
    client::{Connection, request},
    judge::{Answer, Ban, Status, Verdict},
    node::{self, Node},
    report::{Report, transactions},
};

/// The number of tasks that change things. Each has its own keys and owners.
const CHANGERS: usize = 16;

/// The number of clients, without those of the changers, spread over the nodes. Each sends one request after the other.
const CLIENTS: usize = 128;

/// What all tasks share.
pub(crate) struct Fleet {
    origin: Instant,
    pub(crate) keys: ApiKeys<PostgresStore>,
    nodes: Vec<Mutex<Node>>,
    /// The request to send for each key that was ever made.
    requests: RwLock<Vec<Arc<[u8]>>>,
    /// The keys in use.
    pub(crate) slots: Vec<AtomicU32>,
    /// The key that each changer is changing.
    pub(crate) victims: Vec<AtomicU32>,
    wanted: u64,
    /// Whether clients and changers pause.
    pub(crate) is_paced: bool,
    asked: AtomicU64,
    /// Changers that have not yet made every kind of change.
    pub(crate) unready: AtomicUsize,
}

/// What a task saw and did.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) answers: Vec<Answer>,
    pub(crate) bans: Vec<(u32, Ban)>,
    /// For each revocation and suspension, from its return until every node had refused, in nanoseconds.
    pub(crate) delays: Vec<u64>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    url: &str,
    schema: &str,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    PostgresStore::migrate(url, schema).await?;
    let starting = (0..arguments.nodes).map(|_| Node::start(arguments.mode, schema, arguments.answer_cache, url));
    let nodes = try_join_all(starting).await?;
    let fleet = Arc::new(Fleet::new(node::open(url, schema, arguments.mode).await?, nodes, arguments));
    let changers = try_join_all((0..CHANGERS).map(|number| Changer::prepare(Arc::clone(&fleet), number))).await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Client::open(Arc::clone(&fleet), number % arguments.nodes).await?);
    }
    let pause = arguments.rate.map(|rate| Duration::from_secs_f64(clients.len() as f64 / rate as f64));

    fleet.asked.store(0, Ordering::SeqCst);
    let (reads, queries, begun) = (fleet.reads().await?, transactions(url).await?, Instant::now());
    let mut tasks = JoinSet::new();
    for (seed, client) in zip(1.., clients) {
        tasks.spawn(client.keep_asking(seed, pause));
    }
    for changer in changers {
        tasks.spawn(changer.keep_changing());
    }
    let mut records = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        records.push(ended??);
    }
    let time = begun.elapsed();
    let reads = fleet.reads().await? - reads;

    let fleet = Arc::into_inner(fleet).ok_or("a task is still running")?;
    let known = fleet.requests.read().unwrap_or_else(PoisonError::into_inner).len();
    for node in fleet.nodes {
        node.into_inner().end().await?;
    }
    // The server counts the work of a connection when the connection ends, which takes a moment.
    sleep(Duration::from_millis(100)).await;
    let queries = transactions(url).await?.saturating_sub(queries);

    let (verdict, delays) = judged(records, known, arguments.mode.bound());
    Ok(Report { verdict, delays, nodes: arguments.nodes, time, reads, queries })
}

fn judged(records: Vec<Record>, keys: usize, bound: Duration) -> (Verdict, Vec<u64>) {
    let (mut verdict, mut delays, mut bans) = (Verdict::default(), Vec::new(), vec![Vec::new(); keys]);
    for record in &records {
        delays.extend(&record.delays);
        for (key, ban) in &record.bans {
            bans.get_mut(*key as usize).into_iter().for_each(|bans| bans.push(*ban));
        }
    }
    for record in records {
        verdict.add(&record.answers, &bans, bound.as_nanos() as u64);
    }
    (verdict, delays)
}

impl Fleet {
    fn new(keys: ApiKeys<PostgresStore>, nodes: Vec<Node>, arguments: &Arguments) -> Self {
        Self {
            origin: Instant::now(),
            keys,
            nodes: nodes.into_iter().map(Mutex::new).collect(),
            requests: RwLock::default(),
            slots: (0..CHANGERS * SLOTS).map(|_| AtomicU32::new(0)).collect(),
            victims: (0..CHANGERS).map(|_| AtomicU32::new(0)).collect(),
            wanted: arguments.requests,
            is_paced: arguments.rate.is_some(),
            asked: AtomicU64::new(0),
            unready: AtomicUsize::new(CHANGERS),
        }
    }

    /// Nanoseconds on the clock by which answers are judged.
    pub(crate) fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    pub(crate) fn is_done(&self) -> bool {
        self.asked.load(Ordering::Relaxed) >= self.wanted && self.unready.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a key and returns its number.
    pub(crate) fn add(&self, text: &str) -> u32 {
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        requests.push(request(text).into());
        requests.len() as u32 - 1
    }

    /// Makes a change with the manager of this node, or with the one in this process.
    pub(crate) async fn make(&self, change: Change, by: Option<usize>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(node) = by else { return change.make(&self.keys.manager()).await };
        let node = self.nodes.get(node).ok_or("there is no such node")?;
        match node.lock().await.order(&change.to_string()).await?.as_str() {
            "done" => Ok(()),
            other => Err(format!("a node answered {other:?} to the order {change}").into()),
        }
    }

    async fn reads(&self) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let mut all = 0;
        for node in &self.nodes {
            all += node.lock().await.reads().await?;
        }
        Ok(all)
    }

    /// Picks a key that is being ended now, one that has ended, or one in use.
    fn pick(&self, random: u64) -> u32 {
        let (which, of) = ((random >> 32) as usize, random as u32 as usize);
        let known = |keys: &[AtomicU32]| keys.get(which % keys.len()).map_or(0, |key| key.load(Ordering::Relaxed));
        match of % 16 {
            0 => (which % self.requests.read().unwrap_or_else(PoisonError::into_inner).len()) as u32,
            1..=4 => known(&self.victims),
            _ => known(&self.slots),
        }
    }
}

/// A connection to one node, and the answers of that node.
pub(crate) struct Client {
    fleet: Arc<Fleet>,
    connection: Connection,
    pub(crate) answers: Vec<Answer>,
}

impl Client {
    pub(crate) async fn open(fleet: Arc<Fleet>, node: usize) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let address = fleet.nodes.get(node).ok_or("there is no such node")?.lock().await.address;
        Ok(Self { fleet, connection: Connection::open(address).await?, answers: Vec::new() })
    }

    async fn ask(&mut self, key: u32) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let requests = &self.fleet.requests;
        let request = requests.read().unwrap_or_else(PoisonError::into_inner).get(key as usize).map(Arc::clone);
        let request = request.ok_or("there is no such key")?;
        let started = self.fleet.now();
        let status = self.connection.ask(&request).await?;
        let ended = self.fleet.now();
        let status = match status {
            200 => Status::Accepted,
            401 => Status::Refused,
            503 => Status::Unavailable,
            other => return Err(format!("a node answered with {other}").into()),
        };
        self.fleet.asked.fetch_add(1, Ordering::Relaxed);
        let answer = Answer { key, status, started, ended };
        self.answers.push(answer);
        Ok(answer)
    }

    /// Sends requests with this key until the answer has this status, and returns when that was.
    pub(crate) async fn until(&mut self, key: u32, status: Status) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let begun = Instant::now();
        loop {
            let answer = self.ask(key).await?;
            if answer.status == status {
                return Ok(answer.ended);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("a node never answered {status:?}").into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn keep_asking(mut self, seed: u64, pause: Option<Duration>) -> Result<Record, Box<dyn Error + Send + Sync>> {
        let mut random = seed;
        let mut next = tokio::time::Instant::now() + pause.unwrap_or_default().mul_f64(seed as f64 / CLIENTS as f64);
        while !self.fleet.is_done() {
            if let Some(pause) = pause {
                sleep_until(next).await;
                next += pause;
            }
            random = scattered(random);
            self.ask(self.fleet.pick(random)).await?;
        }
        Ok(Record { answers: self.answers, ..Record::default() })
    }
}

/// The next number of a sequence in no visible order: the steps of SplitMix64, applied to its last result.
pub(crate) const fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
