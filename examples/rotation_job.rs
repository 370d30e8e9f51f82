//! A scheduled job that rotates every key of its team, its own key included, without an outage: begin, swap, verify,
//! finish. Run it twice in one folder to see a rotation from beginning to end:
//!
//! ```text
//! cargo run --example rotation_job --features sqlite
//! ```
//!
//! The job acts with a team key. A person gave that key the scopes `keys:read` and `keys:rotate`, and the job can do no
//! more than these allow. It issues only successors and ends only the keys that they replace. It cannot see the keys of
//! other teams. It keeps a new key in memory only until it has written it to the file that a service reads.
//!
//! The job cannot extend the life of a key. The successor of a key with an expiry has the same expiry; that includes
//! the job's own key. The job prints a line for each such key. A person, or the service itself, must renew them.
//!
//! A Team Admin writes the label of a key, and it is not trusted. It only names the file of this folder that holds the
//! key. The job replaces a key by its successor, and does not touch a file that does not hold that key.
//!
//! A run that is killed does no damage: old keys work until a later run finds that they are no longer used.

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

/// The label that names the file from which the service reads its key.
const FILE: &str = "file";

/// The file of the job's own key.
const OWN: &str = "rotator.key";

type Keys = ApiKeys<SqliteStore>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No user waits for this job, so a check may take long on a busy machine.
    let patient = HasherConfig::new().with_check_wait(Duration::from_secs(30));
    let keys = ApiKeys::builder(SqliteStore::open("keys.db").await?).hasher(patient).build().await?;
    if !Path::new(OWN).exists() {
        first_start(&keys).await?;
    }
    services_call(&keys).await?;
    // A source has moved to the new key if it calls with that one and has not used the old key for this long. The
    // default of half a minute suits several nodes that each write their counts every ten seconds. Here one node writes
    // them on request.
    let quiet = env::var("QUIET_SECONDS").map_or(Ok(30), |seconds| seconds.parse())?;
    run(&keys, Duration::from_secs(quiet)).await?;
    keys.shutdown().await?;
    Ok(())
}

/// One run of the job.
async fn run(keys: &Keys, quiet: Duration) -> Result<(), Box<dyn Error>> {
    // The job is a caller like any other. It has the current rights of its team.
    let own = fs::read_to_string(OWN).await?;
    let me = keys.authenticator().authenticate(own.trim()).await?;
    let actor = Actor::key(&me, Rights::none().team_keys_included()); // take this from your billing
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
    /// Does the next step of a key's rotation. If an earlier run began one, the key is the old or the new one of two.
    async fn rotate(&self, key: &KeyInfo) -> Result<(), Box<dyn Error>> {
        let Some((_, name)) = key.labels.iter().find(|(label, _)| *label == FILE) else { return Ok(()) };
        let Some(file) = in_this_folder(name) else {
            return say(Path::new(name), "the label is not the name of a file in this folder: not touched");
        };
        match self.manager.rotation(&key.id, &self.actor).await {
            // The manager also returns a rotation that has ended.
            Ok(status) if status.stage != RotationStage::UnderWay => self.begin(&key.id, &file, "begun").await,
            Ok(status) if status.new.id != key.id => Ok(()), // its successor comes later in the list
            Ok(status) if id_in(&file).await == Some(status.old.id) => {
                // The run that began it died before it wrote the new key to the file, so no service has that key.
                self.manager.abort_rotation(&status.new.id, &self.actor).await?;
                self.begin(&status.old.id, &file, "begun again").await
            }
            Ok(status) if id_in(&file).await != Some(status.new.id) => {
                say(&file, &format!("the file holds neither {} nor {}: not touched", status.old.id, status.new.id))
            }
            Ok(status) => {
                let verdict = status.verdict_with(self.quiet);
                say(&file, &verdict.to_string())?;
                if verdict == RotationVerdict::SafeToFinish {
                    // The job has checked the counts itself, with its own `quiet`.
                    self.manager.finish_rotation_anyway(&status.new.id, &self.actor).await?;
                    say(&file, "finished: the old key is now refused")?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ManageErrorKind::NoRotation => self.begin(&key.id, &file, "begun").await,
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a rotation, and writes the new key to the file that the service reads.
    async fn begin(&self, old: &KeyId, file: &Path, word: &str) -> Result<(), Box<dyn Error>> {
        if id_in(file).await != Some(*old) {
            return say(file, &format!("the file does not hold {old}: not touched"));
        }
        let issued = self.manager.begin_rotation(RotateKey::of(*old), &self.actor).await?;
        write_key(file, issued.plaintext().expose_secret()).await?;
        say(file, &format!("{word}: the new key {} works beside {old}", issued.info().id))?;
        if let Some(end) = issued.info().expires_at {
            say(file, &format!("the key still expires at {end}: a person or the service has to renew it"))?;
        }
        Ok(())
    }

    /// Shows what the job's key cannot do.
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

/// Issues the keys that people would issue: for one team those of two services and of the job, and a key of another
/// team.
async fn first_start(keys: &Keys) -> Result<(), Box<dyn Error>> {
    let admin = Actor::system("first start")?;
    let engineering: Owner = TeamId::new("engineering")?.into();
    let keys_to_make = [
        (engineering.clone(), "GitHub Actions - production", "deploy.key", Scopes::all()),
        (engineering.clone(), "Monday cron", "cron.key", Scopes::all()),
        // A person has to name these scopes. No key can give them to another key.
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

/// The services call with the keys in their files. A request through the layer is counted in the same way.
async fn services_call(keys: &Keys) -> Result<(), Box<dyn Error>> {
    for file in ["deploy.key", "cron.key", OWN] {
        keys.authenticator().authenticate(fs::read_to_string(file).await?.trim()).await?;
    }
    keys.flush_usage().await?;
    Ok(())
}

/// The file of this name, if it is a plain name and not a path.
fn in_this_folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    (path.file_name()?.to_str()? == name).then(|| path.to_owned())
}

/// Writes the file as a whole, readable by its owner only. A reader sees the old key or the new one.
async fn write_key(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let mut beside = file.to_path_buf().into_os_string();
    beside.push(".new");
    // Removes what a killed run left behind, or a link that was put there. If another process creates it again now,
    // this run fails.
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

/// The id of the key in a file; none for a link, because its target may be outside of this folder.
async fn id_in(file: &Path) -> Option<KeyId> {
    fs::symlink_metadata(file).await.ok().filter(|file| file.is_file())?;
    let text = fs::read_to_string(file).await.ok()?;
    KeyId::new(text.trim().split('.').nth(1)?).ok()
}

fn say(file: &Path, what: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(stdout(), "{}: {what}", file.display())?)
}
