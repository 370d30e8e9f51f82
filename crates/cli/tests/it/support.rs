//! A folder with a store, and the program run in it.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeys,
    store::{AnyStore, PostgresSettings, PostgresStore, SqliteStore},
    usage::Source,
};

use crate::postgres::Server;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, if it did what it was asked for.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it said on standard error, if it ended with this code and printed nothing.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        self.err
    }

    /// What it said on standard error, if it ended with this code.
    #[track_caller]
    pub fn fails_with_output(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.err
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.clone().ok()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A store, and everything that the program ever said about it.
pub struct World {
    folder: TempDir,
    pub store: String,
    settings: HashMap<&'static str, String>,
    heard: RefCell<String>,
    secrets: RefCell<Vec<String>>,
    _server: Option<Server>,
}

impl World {
    /// With an SQLite file.
    pub fn sqlite() -> Self {
        let world = Self::of("keys.db", None);
        world.run(&["init"]).ok();
        world
    }

    /// With an SQLite file that nobody has made yet.
    pub fn empty() -> Self {
        Self::of("keys.db", None)
    }

    /// With a PostgreSQL server of its own.
    pub fn postgres() -> Self {
        let server = Server::start();
        let world = Self::of(&server.url(), Some(server));
        world.run(&["init"]).ok();
        world
    }

    /// With a PostgreSQL server on which there are no tables yet.
    pub fn at(store: &str) -> Self {
        Self::of(store, None)
    }

    fn of(store: &str, server: Option<Server>) -> Self {
        let settings = HashMap::from([("APIKEYS_STORE", store.to_owned()), ("APIKEYS_AS", "ops".to_owned())]);
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: store.to_owned(),
            settings,
            heard: RefCell::default(),
            secrets: RefCell::default(),
            _server: server,
        }
    }

    /// A plain connection to its PostgreSQL server.
    pub async fn database(&self) -> tokio_postgres::Client {
        self._server.as_ref().unwrap().client().await
    }

    pub fn server(&mut self) -> &mut Server {
        self._server.as_mut().unwrap()
    }

    /// With this environment variable.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.insert(name, value.to_owned());
        self
    }

    /// Without this environment variable.
    pub fn without(mut self, name: &'static str) -> Self {
        self.settings.remove(name);
        self
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apikeys"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(&self.settings);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// With this on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
        // It may end without reading all of it.
        let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let ended = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: ended.status.code().unwrap_or(-1), out: text(ended.stdout), err: text(ended.stderr) };
        self.heard.borrow_mut().push_str(&format!("{}\n{}\n", ran.out, ran.err));
        ran
    }

    /// Makes a key with these arguments. Its text is not among what was heard.
    #[track_caller]
    pub fn make(&self, arguments: &[&str]) -> Made {
        let before = self.heard.borrow().len();
        let made = self.run(&[arguments, &["--json"]].concat()).json();
        let mut heard = self.heard.borrow_mut();
        let text = made["plaintext"].as_str().unwrap().to_owned();
        let said = heard[before..].replacen(&text, "", 1);
        heard.truncate(before);
        heard.push_str(&said);
        self.secrets.borrow_mut().push(text.clone());
        Made { id: made["key"]["id"].as_str().unwrap().to_owned(), text }
    }

    #[track_caller]
    pub fn team_key(&self, name: &str) -> Made {
        self.make(&["create", "--team", "engineering", "--name", name])
    }

    #[track_caller]
    pub fn user_key(&self, user: &str, name: &str) -> Made {
        self.make(&["create", "--user", user, "--name", name])
    }

    pub fn knows(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    /// Fails if eight characters in a row of the secret of a key were ever said, or are in a file of the folder.
    pub fn assert_no_secret_was_said(&self) {
        let mut everything = self.heard.borrow().clone().into_bytes();
        for file in fs::read_dir(self.folder.path()).unwrap() {
            everything.extend(fs::read(file.unwrap().path()).unwrap());
        }
        let secrets = self.secrets.borrow();
        assert!(!secrets.is_empty(), "there was no secret");
        for text in secrets.iter() {
            let secret = text.rsplit('.').next().unwrap().as_bytes();
            for window in secret.windows(8) {
                let is_there = everything.windows(8).any(|part| part == window);
                assert!(!is_there, "a part of the secret of {text} was said or stored");
            }
        }
    }

    /// The keys of the service whose store this is.
    pub async fn service(&self) -> ApiKeys<AnyStore> {
        let store = if self.store.starts_with("postgres") {
            AnyStore::new(PostgresStore::connect_with(&self.store, PostgresSettings::new()).await.unwrap())
        } else {
            AnyStore::new(SqliteStore::open(self.path(&self.store)).await.unwrap())
        };
        ApiKeys::new(store).unwrap()
    }

    /// Lets a client of the service send requests with this text, this often.
    pub fn call(&self, text: &str, client: &str, times: usize) {
        runtime().block_on(async {
            let keys = self.service().await;
            let inner = service_fn(async |_: http::Request<String>| {
                Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
            });
            let service = keys.layer().source(Source::new("api").unwrap()).layer(inner);
            for _ in 0..times {
                let request = http::Request::builder().header("x-api-key", text).header("user-agent", client);
                service.clone().oneshot(request.body(String::new()).unwrap()).await.unwrap();
            }
            keys.shutdown().await.unwrap();
        });
    }
}

/// A key that was made.
pub struct Made {
    pub id: String,
    pub text: String,
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
