//! The only screen with the text of a key.

use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    IssuedKey,
    manage::{KeyInfo, ManageError},
};

use crate::page::{
    answer::{Reply, Screen},
    request::Call,
    views::KeyView,
};

#[derive(Serialize)]
struct RevealView<'a> {
    plaintext: &'a str,
    key: KeyView,
    ends_soon: Option<String>,
    api_at: Option<&'a str>,
    /// The next step, after a rotation began.
    next: Option<String>,
    done: String,
}

/// Shows a new key, once.
pub(super) async fn reveal(call: &Call, issued: &IssuedKey, next: Option<String>) -> Reply {
    let names = call.manager.names_of([issued.info()]).await;
    let words = call.site.words();
    let view = RevealView {
        plaintext: issued.plaintext().expose_secret(),
        key: KeyView::of(call, issued.info(), &names),
        ends_soon: issued.ends_soon().map(|sentence| words.sentence(&sentence)),
        api_at: call.site.page.api_at.as_deref(),
        next,
        done: call.at("/"),
    };
    Screen::new("reveal.html", call.say("reveal.title"), &view).secret().into()
}

#[derive(Serialize)]
struct ReplayedView {
    key: Option<KeyView>,
    sentence: String,
}

/// The same form again, which a reload of the answer sends: the key that it made, without its text.
pub(super) async fn replayed(call: &Call, error: &ManageError) -> Reply {
    let key = match error.replayed() {
        Some(key) => Some(view(call, key).await),
        None => None,
    };
    let sentence = call.site.words().sentence(&error.sentence());
    let view = ReplayedView { key, sentence };
    Screen::new("replayed.html", call.say("replayed.title"), &view).with_status(StatusCode::CONFLICT).into()
}

async fn view(call: &Call, key: &KeyInfo) -> KeyView {
    let names = call.manager.names_of([key]).await;
    KeyView::of(call, key, &names)
}
