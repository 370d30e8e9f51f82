//! A scheduled job that gives every key of its team a successor, and then itself, without an outage: begin, swap, verify,
//! finish. Run it twice in one folder to see a rotation from its beginning to its end:
//!
//! ```text
//! cargo run --example rotation_job --features sqlite
//! ```
//!
//! The job acts with a team key on which a person named `keys:read` and `keys:rotate`, and can do no more than that key: it
//! makes no key but successors, ends none but their predecessors, and other teams' keys do not exist for it. It holds no
//! key in memory longer than it takes to write it to the file that a service reads.
//!
//! Nor does it let a key live longer: the successor of a key that expires ends at the same time, and so does the
//! successor of the job's own. The job says so of each; a person, or the service itself, renews such keys.
//!
//! A label is what a Team Admin wrote. It says in which file of this folder a key is, and no more: the job replaces a
//! key by its successor, and touches nothing that does not hold that key.
//!
//! A run that dies leaves nothing half-way: old keys live until the next run finds that nobody uses them.

use std::{
    env,
    error::Error,
    io::{ErrorKind, Write, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{fs, io::AsyncWriteExt};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyManager, Owner, Scope, Scopes, TeamId,
    hash::HasherConfig,
    key::KeyId,
    manage::{KeyInfo, ListKeys, ManageErrorKind, Rights, RotateKey, RotationStage, RotationVerdict},
    store::{Liveness, SqliteStore},
};

/// The label of a key that says which file its service reads it from.
const FILE: &str = "file";

/// The file of the job's own key.
const OWN: &str = "rotator.key";

type Keys = ApiKeys<SqliteStore>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Nobody waits for a job: a busy machine may take its time.
    let patient = HasherConfig::new().with_check_wait(Duration::from_secs(30));
    let keys = ApiKeys::builder(SqliteStore::open("keys.db").await?).hasher(patient).build().await?;
    if !Path::new(OWN).exists() {
        first_start(&keys).await?;
    }
    services_call(&keys).await?;
    // After so long without a call with the old key, a source that calls with the new one has moved. Half a minute by
    // default, for a fleet of nodes that write what they counted every ten seconds; here there is one, and it is asked to.
    let quiet = env::var("QUIET_SECONDS").map_or(Ok(30), |seconds| seconds.parse())?;
    run(&keys, Duration::from_secs(quiet)).await?;
    keys.shutdown().await?;
    Ok(())
}

/// One run of the job.
async fn run(keys: &Keys, quiet: Duration) -> Result<(), Box<dyn Error>> {
    // The job is a caller like any other, with what its team may do today.
    let own = fs::read_to_string(OWN).await?;
    let me = keys.authenticator().authenticate(own.trim()).await?;
    let actor = Actor::key(&me, Rights::none().team_keys_included()); // as your billing says
    let job = Job { manager: keys.manager_for(me.organization().clone()), actor, quiet };

    let mut page = ListKeys::of(me.owner().clone()).liveness(Liveness::Live);
    loop {
        let found = job.manager.list(page.clone(), &job.actor).await?;
        for key in &found.keys {
            job.rotate(key).await?;
        }
        let Some(next) = found.next else { break };
        page = page.after(next);
    }
    job.show_limits().await
}

struct Job {
    manager: KeyManager,
    actor: Actor,
    quiet: Duration,
}

impl Job {
    /// Takes the rotation of a key one step further. The key is one of two if a run before this one began.
    async fn rotate(&self, key: &KeyInfo) -> Result<(), Box<dyn Error>> {
        let Some((_, name)) = key.labels.iter().find(|(label, _)| *label == FILE) else { return Ok(()) };
        let Some(file) = in_this_folder(name) else {
            return say(Path::new(name), "no name of a file in this folder: not touched");
        };
        match self.manager.rotation(&key.id, &self.actor).await {
            // It is told of after its end, too.
            Ok(status) if status.stage != RotationStage::UnderWay => self.begin(&key.id, &file, "begun").await,
            Ok(status) if status.new.id != key.id => Ok(()), // its successor comes later in the list
            Ok(status) if id_in(&file).await == Some(status.old.id) => {
                // The run that began it died before it wrote the new key down: nobody has it.
                self.manager.abort_rotation(&status.new.id, &self.actor).await?;
                self.begin(&status.old.id, &file, "begun again").await
            }
            Ok(status) if id_in(&file).await != Some(status.new.id) => {
                say(&file, &format!("it holds neither {} nor {}: not touched", status.old.id, status.new.id))
            }
            Ok(status) => {
                let verdict = status.verdict_with(self.quiet);
                say(&file, &verdict.to_string())?;
                if verdict == RotationVerdict::SafeToFinish {
                    // It looked at the counts itself, with its own idea of quiet.
                    self.manager.finish_rotation_anyway(&status.new.id, &self.actor).await?;
                    say(&file, "finished, the old key is refused from now on")?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ManageErrorKind::NoRotation => self.begin(&key.id, &file, "begun").await,
            Err(error) => Err(error.into()),
        }
    }

    /// Begins, and puts the new key where the service looks for it.
    async fn begin(&self, old: &KeyId, file: &Path, word: &str) -> Result<(), Box<dyn Error>> {
        if id_in(file).await != Some(*old) {
            return say(file, &format!("it does not hold {old}: not touched"));
        }
        let issued = self.manager.begin_rotation(RotateKey::of(*old), &self.actor).await?;
        write_key(file, issued.plaintext().expose_secret()).await?;
        say(file, &format!("{word}: {} is there beside {old}", issued.info().id))?;
        if let Some(end) = issued.info().expires_at {
            say(file, &format!("it ends at {end}, as before: somebody has to renew it, for a key cannot"))?;
        }
        Ok(())
    }

    /// What the job's key cannot do, however it is asked.
    async fn show_limits(&self) -> Result<(), Box<dyn Error>> {
        let scopes = Scopes::all().with(Scope::KEYS_READ).with(Scope::KEYS_ROTATE);
        let request = IssueKey::team(TeamId::new("engineering")?).scopes(scopes);
        if let Err(error) = self.manager.issue(request, &self.actor).await {
            say(Path::new("another rotator"), &error.to_string())?;
        }
        if let Some(sales) = id_in(Path::new("sales.key")).await
            && let Err(error) = self.manager.begin_rotation(RotateKey::of(sales), &self.actor).await
        {
            say(Path::new("sales.key"), &error.to_string())?;
        }
        Ok(())
    }
}

/// Keys as people would have made them: two services' and the job's own for one team, and another team's.
async fn first_start(keys: &Keys) -> Result<(), Box<dyn Error>> {
    let admin = Actor::system("first start")?;
    let engineering: Owner = TeamId::new("engineering")?.into();
    let keys_to_make = [
        (engineering.clone(), "GitHub Actions - production", "deploy.key", Scopes::all()),
        (engineering.clone(), "Monday cron", "cron.key", Scopes::all()),
        // A person names this scope; no key can give it to another.
        (engineering, "Rotation job", OWN, Scopes::all().with(Scope::KEYS_READ).with(Scope::KEYS_ROTATE)),
        (TeamId::new("sales")?.into(), "CRM sync", "sales.key", Scopes::all()),
    ];
    for (owner, name, file, scopes) in keys_to_make {
        let request = IssueKey::of(owner).named(name).labelled(FILE, file).scopes(scopes);
        let issued = keys.manager().issue(request, &admin).await?;
        write_key(Path::new(file), issued.plaintext().expose_secret()).await?;
    }
    Ok(())
}

/// The services call with the keys they find in their files; a request through the layer is counted the same way.
async fn services_call(keys: &Keys) -> Result<(), Box<dyn Error>> {
    for file in ["deploy.key", "cron.key", OWN] {
        keys.authenticator().authenticate(fs::read_to_string(file).await?.trim()).await?;
    }
    keys.flush_usage().await?;
    Ok(())
}

/// The file of this name, if it is a name and no path.
fn in_this_folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    (path.file_name()?.to_str()? == name).then(|| path.to_owned())
}

/// All or nothing, and for nobody else's eyes: a reader sees the old key or the new one.
async fn write_key(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let mut beside = file.to_path_buf().into_os_string();
    beside.push(".new");
    // Left behind by a run that died, or a link that somebody put there. Somebody who puts one there now makes this run
    // fail.
    if let Err(error) = fs::remove_file(&beside).await
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error.into());
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut written = options.open(&beside).await?;
    written.write_all(text.as_bytes()).await?;
    written.sync_all().await?;
    fs::rename(&beside, file).await?;
    Ok(())
}

/// The public part of the key in a file; none in a link, which is no file of this folder.
async fn id_in(file: &Path) -> Option<KeyId> {
    fs::symlink_metadata(file).await.ok().filter(|file| file.is_file())?;
    let text = fs::read_to_string(file).await.ok()?;
    KeyId::new(text.trim().split('.').nth(1)?).ok()
}

fn say(file: &Path, what: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(stdout(), "{}: {what}", file.display())?)
}
