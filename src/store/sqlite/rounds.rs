use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{watch::Watch, worker::Worker};

/// How often the files are checked, with or without requests.
const INTERVAL: Duration = Duration::from_millis(250);

/// A thread that checks the files a few times a second. It is for a store that opened its file exclusively, which does
/// not check on a request; for a second name of the file, which requests never check; and for marks that others did not
/// end.
///
/// It ends when this is dropped, and its worker handle with it.
pub(super) struct Rounds {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rounds {
    pub(super) fn start(watch: &Arc<Watch>, writer: &Worker) -> io::Result<Self> {
        let (watch, writer) = (Arc::clone(watch), writer.clone());
        let (end, ended) = mpsc::channel();
        let look = move || {
            while ended.recv_timeout(INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                if watch.wants_care() {
                    writer.look_after_files();
                }
            }
        };
        let thread = thread::Builder::new().name("api-keys-watch".to_owned()).spawn(look)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
