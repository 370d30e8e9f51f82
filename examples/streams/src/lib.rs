//! Server-sent events and a WebSocket. Each outlives the request that opened it. So each also waits for the end of the
//! key that opened it.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::{
        Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures_util::{Stream, stream};
use tokio::{
    select,
    time::{sleep, timeout},
};
use tower_api_keys::{
    ApiKeys, Authenticator, Principal, Scope,
    auth::StreamEnd,
    store::{KeyReader, Ledger},
};

/// The time between two events.
const TICK: Duration = Duration::from_millis(200);

/// How long a client that reads nothing can delay the closing of its socket.
const PATIENCE: Duration = Duration::from_secs(1);

/// The scope that both streams require.
const SCOPE: &str = "ticks:read";

/// `GET /ticks` sends events, `GET /echo` is a WebSocket.
pub fn router<S: Ledger>(keys: &ApiKeys<S>) -> Router {
    let streams = Router::new().route("/ticks", get(ticks::<S>)).route("/echo", get(echo::<S>));
    streams.with_state(keys.authenticator()).layer(keys.layer())
}

/// Waits until the caller may no longer use the stream. A key that loses scopes keeps the stream, if it still has the
/// scope that the stream requires.
async fn end<R: KeyReader>(keys: Authenticator<R>, mut principal: Principal) -> StreamEnd {
    loop {
        match keys.until_refused(&principal).await {
            StreamEnd::Narrowed(now) if may_listen(&now) => principal = now,
            end => return end,
        }
    }
}

fn may_listen(principal: &Principal) -> bool {
    Scope::new(SCOPE).is_ok_and(|scope| principal.allows(&scope))
}

/// Sends events until the key ends. The last event gives the reason. A client that connects again with a revoked key
/// gets 401. If the stream ended because the key could not be checked, a browser connects again by itself.
async fn ticks<R: KeyReader>(
    State(keys): State<Authenticator<R>>,
    principal: Principal,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let begin = Some((0_u64, Box::pin(end(keys, principal))));
    let events = stream::unfold(begin, |state| async move {
        let (number, mut end) = state?;
        select! {
            biased;
            end = &mut end => Some((Ok(Event::default().event("end").data(end.code().as_str())), None)),
            () = sleep(TICK) => Some((Ok(Event::default().data(number.to_string())), Some((number + 1, end)))),
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn echo<R: KeyReader>(
    State(keys): State<Authenticator<R>>,
    principal: Principal,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| converse(socket, end(keys, principal)))
}

/// Sends each message back, until the client leaves or the key ends.
async fn converse(mut socket: WebSocket, end: impl Future<Output = StreamEnd>) {
    // Receiving and sending are one future, so a client that reads nothing cannot keep its socket open.
    let conversation = async {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
                break;
            }
        }
    };
    let end = select! {
        biased;
        end = end => end,
        () = conversation => return,
    };
    let code = if end.is_temporary() { close_code::AGAIN } else { close_code::POLICY };
    let close = CloseFrame { code, reason: end.code().as_str().into() };
    // The socket is closed even if the client does not read this.
    let _ = timeout(PATIENCE, socket.send(Message::Close(Some(close)))).await;
}
