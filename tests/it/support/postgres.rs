//! A PostgreSQL server of the tests' own: started by the first test that asks, in a folder of its own, on a free port,
//! and ended with the test process.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A running server. Dropped, it is ended and its folder removed.
pub struct Server {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// A new server, with nothing in it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings, each as `name=value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::new(settings);
        let made = unprivileged(&server.binaries.join("initdb"))
            .args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        server.run();
        server
    }

    /// A standby of this server, which receives what the primary at this port says.
    pub fn standby(&self, primary_port: u16) -> Self {
        let mut standby = Self::new(&[]);
        let copied = unprivileged(&self.binaries.join("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-U", "admin", "-p", &primary_port.to_string(), "--no-sync", "-c", "fast", "-R"])
            .args(["-X", "stream", "-D"])
            .arg(standby.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(copied.success(), "pg_basebackup failed");
        standby.run();
        standby
    }

    fn new(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("api-keys-pg-").tempdir().unwrap();
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(given.success(), "PostgreSQL refuses to run as root, and there is no user `postgres`");
        }
        let settings = settings.iter().map(ToString::to_string).collect();
        Self { folder, binaries: binaries(), port: free_port(), settings, process: None }
    }

    /// Starts the process and waits until it takes connections.
    pub fn run(&mut self) {
        let mut process = unprivileged(&self.binaries.join("postgres"));
        process.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        process.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        process.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        let mut process = process.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        // The first of both is a standby's.
        while !said.contains("ready to accept read-only connections") && !said.contains("ready to accept connections") {
            let before = said.len();
            log.read_line(&mut said).unwrap();
            assert!(said.len() > before, "the server ended: {said}");
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        self.process = Some(process);
    }

    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The URL of the same server by way of another port.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://admin@127.0.0.1:{port}/postgres")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A plain connection.
    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        self.control(&["promote", "-w", "-s"]);
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            self.control(&["stop", "-m", "immediate", "-s"]);
            process.wait().unwrap();
        }
    }

    fn control(&self, order: &[&str]) {
        let done = unprivileged(&self.binaries.join("pg_ctl")).args(order).arg("-D").arg(self.data()).status();
        assert!(done.unwrap().success(), "pg_ctl {order:?} failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the programs of the server are: `PG_BIN`, the path, or where Debian puts them.
fn binaries() -> PathBuf {
    let programs = ["initdb", "pg_basebackup", "pg_ctl", "postgres"];
    let has_server = |folder: &Path| programs.iter().all(|program| folder.join(program).is_file());
    let given = env::var_os("PG_BIN").map(PathBuf::from).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path);
    let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    installed.sort();
    given.chain(on_path).chain(installed.into_iter().rev()).find(|folder| has_server(folder)).expect(
        "no PostgreSQL server here: install it (Debian: apt-get install postgresql), or set PG_BIN to its programs",
    )
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    // The current folder may be closed to that user.
    command.current_dir("/");
    command
}
