//! A network in front of a PostgreSQL server. It counts the messages of clients, and stops forever after a given
//! number.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What happens to the message at which the network stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The server gets it, but its answer is lost.
    Delivered,
    /// It is lost.
    Withheld,
}

/// A port on loopback that leads to a server.
#[derive(Clone)]
pub struct Toll {
    port: u16,
    left: Arc<Mutex<Option<(usize, Last)>>>,
    stands_still: Arc<watch::Sender<bool>>,
}

enum Paid {
    Carried,
    CarriedAsTheLast,
    Lost,
}

impl Toll {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let toll = Self {
            port: listener.local_addr().unwrap().port(),
            left: Arc::default(),
            stands_still: Arc::new(watch::Sender::new(false)),
        };
        let accepting = toll.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(client, target));
            }
        });
        toll
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to count messages. The message with this number is the last; the first is 1.
    pub fn end_at(&self, message: usize, last: Last) {
        *self.left.lock().unwrap() = Some((message, last));
    }

    /// Waits until the last message was sent.
    pub async fn end(&self) {
        self.stands_still.subscribe().wait_for(|stands_still| *stands_still).await.unwrap();
    }

    fn stands_still(&self) -> bool {
        *self.stands_still.borrow()
    }

    fn pay(&self) -> Paid {
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            None => Paid::Carried,
            Some((0, _)) => Paid::Lost,
            Some((more, last)) => {
                *more -= 1;
                match (*more, last) {
                    (0, Last::Delivered) => Paid::CarriedAsTheLast,
                    (0, Last::Withheld) => {
                        self.stands_still.send_replace(true);
                        Paid::Lost
                    }
                    _ => Paid::Carried,
                }
            }
        }
    }

    async fn carry(self, client: TcpStream, target: u16) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // Waits for both: the end of the client does not cut off what the server got.
        let (_, answered) = tokio::join!(self.ask(from_client, to_server), self.answer(from_server, to_client));
        answered
    }

    /// Carries messages until the client ends or the network stops. Then it closes the server's end.
    async fn ask(&self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> io::Result<()> {
        // The first message has no type.
        let mut message = packet(&mut client, Vec::new()).await?;
        server.write_all(&message).await?;
        loop {
            message = whole(&mut client).await?;
            match self.pay() {
                Paid::Carried => server.write_all(&message).await?,
                Paid::CarriedAsTheLast => {
                    // Done first, so that no answer gets through.
                    self.stands_still.send_replace(true);
                    return server.write_all(&message).await;
                }
                Paid::Lost => return Ok(()),
            }
        }
    }

    /// Carries answers until the server ends. Once the network has stopped, answers are lost.
    async fn answer(&self, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = server.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            if !self.stands_still() {
                // Reads the server's answers to the end, even if the client is gone.
                drop(client.write_all(&buffer[..read]).await);
            }
        }
    }
}

/// The messages that a client sends together: a query, or everything up to the message that asks for an answer.
async fn whole(client: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let kind = client.read_u8().await?;
        message.push(kind);
        message = packet(client, message).await?;
        if matches!(kind, b'Q' | b'S' | b'X') {
            return Ok(message);
        }
    }
}

/// Reads a length and that number of bytes, and appends both to `message`.
async fn packet(client: &mut OwnedReadHalf, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    message.extend(length.to_be_bytes());
    let begun = message.len();
    message.resize(begun + usize::try_from(length).unwrap() - 4, 0);
    client.read_exact(&mut message[begun..]).await?;
    Ok(message)
}
