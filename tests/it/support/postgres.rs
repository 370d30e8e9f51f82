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
    process: Option<Child>,
}

impl Server {
    /// A new server, with nothing in it.
    pub fn start() -> Self {
        let binaries = binaries();
        let folder = tempfile::Builder::new().prefix("api-keys-pg-").tempdir().unwrap();
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(given.success(), "PostgreSQL refuses to run as root, and there is no user `postgres`");
        }
        let data = folder.path().join("data");
        let made = unprivileged(&binaries.join("initdb"))
            .args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let mut server = Self { folder, binaries, port: free_port(), process: None };
        server.run();
        server
    }

    /// Starts the process and waits until it takes connections.
    pub fn run(&mut self) {
        let mut process = unprivileged(&self.binaries.join("postgres"))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        while !said.contains("ready to accept connections") {
            let before = said.len();
            log.read_line(&mut said).unwrap();
            assert!(said.len() > before, "the server ended: {said}");
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        self.process = Some(process);
    }

    pub fn url(&self) -> String {
        format!("postgres://admin@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let stopped = unprivileged(&self.binaries.join("pg_ctl"))
                .args(["stop", "-m", "immediate", "-s", "-D"])
                .arg(self.folder.path().join("data"))
                .status();
            assert!(stopped.is_ok_and(|status| status.success()) || process.try_wait().unwrap().is_some());
            process.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the programs of the server are: `PG_BIN`, the path, or where Debian puts them.
fn binaries() -> PathBuf {
    let has_server = |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
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

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn is_root() -> bool {
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
