//! PostgreSQL servers for tests. Each test starts its own server, in its own folder, on a free port. The server ends
//! with the test. It also ends with the test process if `setpriv` (util-linux) can tie it to that.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a starting server may print nothing, and how long its port may be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends the server and removes its folder.
pub struct Server {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// Starts a new, empty server.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with settings, each as `name=value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::new(settings);
        let made = unprivileged(&server.binaries.join("initdb"))
            .args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        server.run_somewhere();
        server
    }

    /// A standby of this server, which receives its log from the primary at this port.
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
        standby.run_somewhere();
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

    /// Starts it again on the same port, once the port is free, and waits until it accepts connections.
    pub fn run(&mut self) {
        self.run_or(|_| thread::sleep(Duration::from_millis(20)));
    }

    /// Starts it, on another port again if another process took the free one first.
    fn run_somewhere(&mut self) {
        self.run_or(|server| server.port = free_port());
    }

    fn run_or(&mut self, when_taken: impl Fn(&mut Self)) {
        let begun = Instant::now();
        while let Err(said) = self.try_run() {
            let is_taken = said.contains("could not bind") || said.contains("Address already in use");
            assert!(is_taken && begun.elapsed() < PATIENCE, "the server ended: {said}");
            when_taken(self);
        }
    }

    /// The error is its output, if it ended or fell silent before it accepted connections.
    fn try_run(&mut self) -> Result<(), String> {
        let mut command = unprivileged(&self.binaries.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        command.stderr(Stdio::piped());
        let mut process = spawn_for_the_process(command).unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (line, lines) = mpsc::channel();
        // Reads to the end, even if the output is no longer used: later output must not fill the pipe.
        thread::spawn(move || log.split(b'\n').map_while(Result::ok).for_each(|said| drop(line.send(said))));
        let mut said = String::new();
        // The first of these two lines is a standby's.
        while !said.contains("ready to accept read-only connections") && !said.contains("ready to accept connections") {
            let Ok(more) = lines.recv_timeout(PATIENCE) else {
                end(&mut process);
                return Err(said);
            };
            said += &String::from_utf8_lossy(&more);
            said.push('\n');
        }
        self.process = Some(process);
        Ok(())
    }

    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The URL of the same server through another port.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://admin@127.0.0.1:{port}/postgres")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A plain connection.
    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// Promotes a standby to primary.
    pub fn promote(&self) {
        let promoted = self.control(&["promote", "-w", "-s"]).unwrap();
        assert!(promoted.success(), "the standby cannot be promoted");
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let stopped = self.stop();
            end(&mut process);
            assert!(stopped.unwrap().success(), "the server cannot be stopped");
        }
    }

    fn stop(&self) -> io::Result<ExitStatus> {
        self.control(&["stop", "-m", "immediate", "-s"])
    }

    fn control(&self, order: &[&str]) -> io::Result<ExitStatus> {
        unprivileged(&self.binaries.join("pg_ctl")).args(order).arg("-D").arg(self.data()).status()
    }
}

impl Drop for Server {
    /// Ignores errors: a second panic after a failed test would abort all other tests.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(self.stop());
            end(&mut process);
        }
    }
}

/// Ends a process, which may have ended already.
fn end(process: &mut Child) {
    drop(process.kill());
    drop(process.wait());
}

/// The folder of the server's programs: `PG_BIN`, a folder of the path, or that of Debian.
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

/// Starts a program that may outlive the test's thread. A program of [`unprivileged`] ends with the thread that started
/// it, so a thread that ends with the process starts it.
fn spawn_for_the_process(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<(Command, mpsc::Sender<io::Result<Child>>)>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (order, orders) = mpsc::channel::<(Command, mpsc::Sender<io::Result<Child>>)>();
        thread::spawn(move || {
            for (mut command, started) in orders {
                drop(started.send(command.spawn()));
            }
        });
        order
    });
    let (started, starts) = mpsc::channel();
    starter.send((command, started)).unwrap();
    starts.recv().unwrap()
}

/// Runs a program as another user if the tests run as root, because PostgreSQL refuses to run as root. If possible, the
/// program gets SIGQUIT when the thread that started it ends: the server then cleans up, so that killed tests leave
/// nothing behind.
fn unprivileged(program: &Path) -> Command {
    static TIES: OnceLock<bool> = OnceLock::new();
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        tied.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    let mut command = if *TIES.get_or_init(|| is_able(&tied)) {
        tied
    } else if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]);
        command
    } else {
        return Command::new(program);
    };
    // That user may have no access to the current folder.
    command.arg(program).current_dir("/");
    command
}

/// Whether this runner can run programs. It may be missing, be another program, or be forbidden.
fn is_able(runner: &Command) -> bool {
    let mut attempt = Command::new(runner.get_program());
    attempt.args(runner.get_args()).arg("true").current_dir("/");
    attempt.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
