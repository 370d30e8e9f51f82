//! A running example, and a minimal HTTP client.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes. A test that reaches this limit has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a built example. Panics if it is missing or older than its source.
pub fn program(name: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    let profile = own.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let source = sources(name).iter().map(|source| changed(source).unwrap()).max().unwrap();
    let is_current = changed(&program).is_ok_and(|built| built >= source);
    assert!(is_current, "{} is missing or old: run `cargo build --examples --all-features`", program.display());
    program
}

/// The single file of an example, or the files in its folder.
fn sources(name: &str) -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    match fs::read_dir(examples.join(name)) {
        Ok(files) => files.map(|file| file.unwrap().path()).collect(),
        Err(_) => vec![examples.join(format!("{name}.rs"))],
    }
}

/// An example in its own process and folder, on a free port. The process ends when this is dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(name: &str, folder: &TempDir) -> Self {
        let mut child = Command::new(program(name))
            .current_dir(folder)
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, lines }
    }

    /// Returns the output from now to the first line that contains `mark`, that line included.
    pub fn until(&mut self, mark: &str) -> String {
        let mut said = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("it ended, or was silent for a minute, before `{mark}`; it said: {said}")
            };
            said.push_str(&line);
            said.push('\n');
            if line.contains(mark) {
                return said;
            }
        }
    }

    /// Returns the next line that contains `mark`.
    pub fn line_with(&mut self, mark: &str) -> String {
        self.until(mark).lines().last().unwrap().to_owned()
    }

    /// Asks the process to stop, and returns its exit status.
    pub fn stop(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it did not stop within a minute"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already. Then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every key in a text, each once, in order.
pub fn keys_in(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))) {
        let is_key = word.len() == 74 && (word.starts_with("user.") || word.starts_with("team."));
        if is_key && !keys.iter().any(|key| key == word) {
            keys.push(word.to_owned());
        }
    }
    keys
}

/// Host and port of the URL in a text.
pub fn address_in(text: &str) -> String {
    let (_, after) = text.split_once("http://").unwrap();
    after.split(|c: char| c.is_whitespace() || c == '/').next().unwrap().to_owned()
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request over its own connection. Repeats it if the service had no time for a hash, as the answer tells
/// clients to do: hashing has the lowest priority, and other tests keep the cores busy.
pub fn request(address: &str, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    loop {
        let answer = request_once(address, line, headers, body);
        if !(answer.status == 503 && answer.body.contains(r#""code":"overloaded""#)) {
            return answer;
        }
    }
}

fn request_once(address: &str, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));

    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();

    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let headers = headers.lines().map(|line| line.split_once(": ").unwrap());
    Answer {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}
