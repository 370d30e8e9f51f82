//! Many keys at once, from the review: marked as reviewed, or deleted after a look at what that would do.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    KeyId,
    manage::{KeyAction, KeyInfo, ManageErrorKind, RevokeMany},
};

use super::{
    delete::{InUse, in_use},
    reviewed,
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, Fields, key_id},
    views::{KeyView, is_dead},
};

/// How many keys a form may name: as many as a screen has.
const MOST: usize = 100;
/// How many of them are asked about at a time.
const AT_ONCE: usize = 8;

#[derive(Serialize)]
struct ManyView {
    /// What this is about.
    title: String,
    /// The keys that would be deleted; none if this is not about that.
    keys: Vec<Item>,
    sentences: Vec<String>,
    because: String,
    effect: String,
    /// How many keys would be deleted, which has to be typed if one of them is in use.
    count: usize,
    in_use: bool,
    /// The query of the review that this came from, and that review.
    query: String,
    back: String,
    /// Why nothing was done, or why it stopped half-way.
    failed: Option<String>,
}

/// A key that would be deleted.
#[derive(Serialize)]
struct Item {
    key: KeyView,
    in_use: InUse,
}

/// What the form of the review asks for.
pub(in crate::page) async fn change(call: &Call) -> Result<Reply, Stop> {
    let ids: BTreeSet<KeyId> = call.fields.all("key").map(key_id).collect::<Result<_, _>>()?;
    if ids.len() > MOST {
        return Err(Stop::Malformed("key"));
    }
    let ids: Vec<_> = ids.into_iter().collect();
    let fields = &call.fields;
    match fields.text("step") {
        _ if ids.is_empty() => Ok(Reply::See(format!("/review{}", query(call)))),
        "reviewed" => {
            let sentences = reviewed::mark(call, &ids).await?;
            Ok(done(call, "review.mark", sentences, None, StatusCode::OK))
        }
        "delete" => delete(call, &ids).await,
        _ => look(call, &ids, find_all(call, &ids).await?, None, StatusCode::OK).await,
    }
}

/// The filters of the review that the form came from.
fn query(call: &Call) -> String {
    Fields::parse(call.fields.raw("query").trim_start_matches('?').as_bytes()).query()
}

/// Which keys would be deleted, and what still calls with them.
async fn look(
    call: &Call,
    ids: &[KeyId],
    found: Vec<Found>,
    failed: Option<String>,
    status: StatusCode,
) -> Result<Reply, Stop> {
    let words = call.site.words();
    let report = call.manager.revoke_many(RevokeMany::keys(ids.iter().copied()).dry_run(), &call.actor).await;
    let report = report.map_err(|stopped| stopped.into_error())?;
    let names = call.manager.names_of(found.iter().map(|(key, _)| key)).await;
    let keys: Vec<_> =
        found.into_iter().map(|(key, in_use)| Item { key: KeyView::of(call, &key, &names), in_use }).collect();
    let query = query(call);
    let view = ManyView {
        title: call.say("many.title"),
        sentences: report.sentences().iter().map(|sentence| words.sentence(sentence)).collect(),
        because: call.fields.echo("because"),
        effect: call.effect(),
        count: keys.len(),
        in_use: keys.iter().any(|item| item.in_use.lately),
        keys,
        back: call.at(&format!("/review{query}")),
        query,
        failed,
    };
    Ok(Screen::new("many.html", call.say("many.title"), &view).with_status(status).into())
}

/// A key that the caller may delete, with what still calls with it.
type Found = (KeyInfo, InUse);

/// Those of these keys that the caller may delete.
async fn find_all(call: &Call, ids: &[KeyId]) -> Result<Vec<Found>, Stop> {
    let asked: Vec<_> = ids.iter().map(|id| find(call, id)).collect();
    let found: Vec<Option<Found>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn find(call: &Call, id: &KeyId) -> Result<Option<Found>, Stop> {
    let key = match call.manager.find(id, &call.actor).await {
        Ok(key) => key,
        // The sentences say that there is such a key.
        Err(error) if matches!(error.kind(), ManageErrorKind::CorruptRecord | ManageErrorKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if is_dead(key.state) || !call.manager.abilities(&key, &call.actor)?.allows(KeyAction::Revoke) {
        return Ok(None);
    }
    let in_use = in_use(call, &key).await?;
    Ok(Some((key, in_use)))
}

async fn delete(call: &Call, ids: &[KeyId]) -> Result<Reply, Stop> {
    let words = call.site.words();
    // The form named exactly these, so that their number is the one that it showed.
    if call.fields.text("confirm") != ids.len().to_string() {
        let found = find_all(call, ids).await?;
        if found.iter().any(|(_, in_use)| in_use.lately) {
            let failed = Some(call.say("confirm.differs"));
            return look(call, ids, found, failed, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
    }
    let mut request = RevokeMany::keys(ids.iter().copied());
    if let Some(reason) = call.fields.some("because") {
        request = request.because(reason);
    }
    let (report, failed, status) = match call.manager.revoke_many(request, &call.actor).await {
        Ok(report) => (report, None, StatusCode::OK),
        Err(stopped) => {
            let so_far = stopped.so_far().clone();
            let error = stopped.into_error();
            let sentence = words.sentence(&error.sentence());
            if so_far.matched == 0 {
                return Err(error.into());
            }
            (so_far, Some(sentence), error.status())
        }
    };
    let sentences = report.sentences().iter().map(|sentence| words.sentence(sentence)).collect();
    Ok(done(call, "many.title", sentences, failed, status))
}

/// What was done.
fn done(call: &Call, title: &str, sentences: Vec<String>, failed: Option<String>, status: StatusCode) -> Reply {
    let query = query(call);
    let view = ManyView {
        title: call.say(title),
        keys: Vec::new(),
        sentences,
        because: String::new(),
        effect: String::new(),
        count: 0,
        in_use: false,
        back: call.at(&format!("/review{query}")),
        query,
        failed,
    };
    Screen::new("many.html", call.say(title), &view).with_status(status).into()
}
