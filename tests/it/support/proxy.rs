//! A network between a client and a server that can be cut, slowed down and silenced.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It carries everything.
    Fair,
    /// It carries everything so much later.
    Slow(Duration),
    /// Connections break, and new ones are closed at once.
    Cut,
    /// It swallows everything and says nothing, not even that an end went away. A connection that met this once stays so:
    /// what was lost is lost.
    Silent,
    /// Until a client says this, fair. Then it is cut, before the word or behind it, and fair again.
    CutBefore(&'static [u8]),
    CutBehind(&'static [u8]),
    /// Until a client says this, fair. That connection carries it and is silent from then on, to both ends and for ever:
    /// neither hears that the other went away. All others are fair again.
    SilentBehind(&'static [u8]),
}

/// A port on loopback that leads to another one.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    weather: Arc<watch::Sender<Weather>>,
    answers: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            target: Arc::new(AtomicU16::new(target)),
            weather: Arc::new(watch::Sender::new(Weather::Fair)),
            answers: Arc::default(),
        };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(client));
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// New connections lead there; what is open stays.
    pub fn lead_to(&self, target: u16) {
        self.target.store(target, Ordering::SeqCst);
    }

    /// Whether a word that it waited for was said, and it is fair again.
    pub fn is_fair(&self) -> bool {
        *self.weather.borrow() == Weather::Fair
    }

    /// How many answers of servers it has carried.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    async fn carry(self, client: TcpStream) -> io::Result<()> {
        if *self.weather.borrow() == Weather::Cut {
            return Ok(());
        }
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target.load(Ordering::SeqCst))).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let silenced = Arc::new(AtomicBool::new(*self.weather.borrow() == Weather::Silent));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let asks = self.clone().pump(from_client, to_server, Arc::clone(&silenced), true);
        let answers = self.pump(from_server, to_client, silenced, false);
        // One end of a connection that broke takes the other with it.
        tokio::select! {
            ended = asks => ended,
            ended = answers => ended,
        }
    }

    /// An end of a silenced connection went away, of which the other hears nothing.
    async fn until_cut(&self) -> io::Result<()> {
        // It cannot end while the sender is here.
        drop(self.weather.subscribe().wait_for(|now| *now == Weather::Cut).await);
        Ok(())
    }

    async fn pump(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        silenced: Arc<AtomicBool>,
        is_client: bool,
    ) -> io::Result<()> {
        let mut weather = self.weather.subscribe();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let now = *weather.borrow_and_update();
            if now == Weather::Silent {
                silenced.store(true, Ordering::SeqCst);
            }
            if now == Weather::Cut {
                return Ok(());
            }
            let read = tokio::select! {
                _ = weather.changed() => continue,
                read = from.read(&mut buffer) => read?,
            };
            let said = &buffer[..read];
            let says = |word: &[u8]| is_client && said.windows(word.len()).any(|window| window == word);
            let now = *weather.borrow_and_update();
            match now {
                Weather::Silent => silenced.store(true, Ordering::SeqCst),
                Weather::Cut => return Ok(()),
                _ if silenced.load(Ordering::SeqCst) => {}
                Weather::SilentBehind(word) if says(word) => {
                    // First of all, so that no answer to it gets through.
                    silenced.store(true, Ordering::SeqCst);
                    to.write_all(said).await?;
                    self.set(Weather::Fair);
                    continue;
                }
                Weather::CutBefore(word) if says(word) => {
                    self.set(Weather::Fair);
                    return Ok(());
                }
                Weather::CutBehind(word) if says(word) => {
                    to.write_all(said).await?;
                    // The server reads it, though nobody waits for its answer: the end of what was said comes behind it.
                    to.shutdown().await?;
                    self.set(Weather::Fair);
                    return Ok(());
                }
                Weather::Slow(delay) => tokio::time::sleep(delay).await,
                Weather::Fair | Weather::CutBefore(_) | Weather::CutBehind(_) | Weather::SilentBehind(_) => {}
            }
            match (silenced.load(Ordering::SeqCst), read) {
                (true, 0) => return self.until_cut().await,
                (true, _) => continue,
                (false, 0) => return Ok(()),
                (false, _) => {}
            }
            to.write_all(said).await?;
            if !is_client {
                self.answers.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
