//! Real proxies with the configurations of the guide, and the service behind them.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::server::PATIENCE;
use crate::postgres::free_port;

const GUIDE: &str = include_str!("../../../../../docs/behind_a_proxy.md");

/// The blocks of the guide in this language.
pub fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("\n```{language}\n");
    GUIDE.split(begin.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The only block of the guide in this language, for these ports.
fn configuration(language: &str, asked: SocketAddr, service: SocketAddr) -> String {
    let blocks = blocks(language);
    let [block] = blocks.as_slice() else { panic!("{} blocks of {language}", blocks.len()) };
    let replaced = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in the block of {language}");
        text.replace(from, to)
    };
    let block = replaced(block, "127.0.0.1:7300", &asked.to_string());
    replaced(&block, "127.0.0.1:3000", &service.to_string())
}

/// A running proxy. It ends with the test, or with the process of the tests.
pub struct Proxy {
    _folder: TempDir,
    process: Child,
    pub at: SocketAddr,
}

impl Proxy {
    /// The nginx of the system, which asks here and passes on there.
    pub fn nginx(asked: SocketAddr, service: SocketAddr) -> Self {
        let block = configuration("nginx", asked, service);
        Self::run(|folder, at| {
            let place = |name: &str| folder.join(name).display().to_string();
            // What the main file of Debian has around `conf.d`, in folders of the test.
            let mut main = format!("daemon off; master_process off; error_log stderr; pid {};\n", place("pid"));
            main.push_str("events {}\nhttp {\naccess_log off;\n");
            for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
                main.push_str(&format!("{kind}_temp_path {};\n", place(kind)));
            }
            let block = block.replace("listen 80;", &format!("listen {at};"));
            fs::write(folder.join("nginx.conf"), format!("{main}{block}\n}}\n")).unwrap();
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
            command
        })
    }

    /// The Caddy of the system, which asks here and passes on there.
    pub fn caddy(asked: SocketAddr, service: SocketAddr) -> Self {
        let block = configuration("caddyfile", asked, service);
        Self::run(|folder, at| {
            // Without TLS, and without its own port for administration.
            let site = format!("http://api.example.com:{} {{\n\tbind {}", at.port(), at.ip());
            let block = block.replace("api.example.com {", &site);
            fs::write(folder.join("Caddyfile"), format!("{{\n\tadmin off\n}}\n{block}\n")).unwrap();
            let mut command = Command::new(program("caddy"));
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("Caddyfile"));
            command.envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, folder)));
            command
        })
    }

    /// On a free port; on another one, if a process was faster.
    fn run(command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        let begun = Instant::now();
        loop {
            let folder = tempfile::tempdir().unwrap();
            let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let mut command = command(folder.path(), at);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let mut log = process.stderr.take().unwrap();
            let (said, says) = mpsc::channel();
            thread::spawn(move || {
                let mut text = String::new();
                drop(log.read_to_string(&mut text));
                drop(said.send(text));
            });
            loop {
                if TcpStream::connect(at).is_ok() {
                    return Self { _folder: folder, process, at };
                }
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "the proxy does not accept connections");
                thread::yield_now();
            }
            let said = says.recv().unwrap();
            assert!(said.contains("in use") && begun.elapsed() < PATIENCE, "the proxy ended: {said}");
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A program of the system. On Debian only root's path has the folder of nginx.
fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("{name} is not here: install it (Debian: apt-get install {name})");
    })
}

/// The service behind a proxy: it answers with what it got.
pub struct Service {
    pub at: SocketAddr,
    /// The heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&kept);
                thread::spawn(move || answer(stream, &heads));
            }
        });
        Self { at, heads }
    }

    /// The heads of the requests that came since the last look, in lower case.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nservice";
    drop(stream.write_all(answer));
}
