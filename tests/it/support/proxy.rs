//! A network between client and server that can be cut, slowed down and silenced.

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

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It carries everything.
    Fair,
    /// It delays everything by this time.
    Slow(Duration),
    /// It breaks connections, and closes new ones at once.
    Cut,
    /// It swallows everything, even the close of a connection. A connection that was open in this state stays silent,
    /// because data was lost.
    Silent,
    /// It is fair until a client sends this. Then it cuts that connection, just before or just after these bytes, and
    /// is fair again.
    CutBefore(&'static [u8]),
    CutBehind(&'static [u8]),
    /// It is fair until a client sends this. It carries these bytes, and then silences that connection forever: neither
    /// end notices that the other one closed. All other connections are fair again.
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

    /// Leads new connections to another port. Open connections stay.
    pub fn lead_to(&self, target: u16) {
        self.target.store(target, Ordering::SeqCst);
    }

    /// Whether it is fair again, because a client sent the awaited bytes.
    pub fn is_fair(&self) -> bool {
        *self.weather.borrow() == Weather::Fair
    }

    /// The number of answers from servers that it has carried.
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
        // If one end of a connection breaks, the other end is closed too.
        tokio::select! {
            ended = asks => ended,
            ended = answers => ended,
        }
    }

    /// One end of a silenced connection has closed. The other end must not notice it.
    async fn until_cut(&self) -> io::Result<()> {
        // This wait cannot fail while the sender exists.
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
                    // Done first, so that no answer gets through.
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
                    // The server still reads the bytes: the end of the stream comes after them.
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
