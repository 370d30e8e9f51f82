//! Good answers: JSON, with the headers that its route promises, and exports as streams.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LINK, LOCATION},
};
use serde::Serialize;
use tower_api_keys::{
    Timestamp,
    manage::{ExportFormat, KeyInfo, ManageError},
};

use crate::{problem::HttpError, table::Answer};

/// 200 with this document.
pub(crate) fn ok(document: &impl Serialize) -> Answer {
    json(StatusCode::OK, document)
}

/// This status, with this document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    let document = serde_json::to_vec(document).map_err(|_| HttpError::Unwritable)?;
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response())
}

/// 200 with this document and the version of the key in it.
pub(crate) fn versioned(key: &KeyInfo, document: &impl Serialize) -> Answer {
    with(ok(document), ETAG, &format!("\"{}\"", key.version))
}

/// 201 with this document, at this path.
pub(crate) fn created(path: &str, document: &impl Serialize) -> Answer {
    with(json(StatusCode::CREATED, document), LOCATION, path)
}

/// 200 with this page, and the address of the next one.
pub(crate) fn page(document: &impl Serialize, next: Option<String>) -> Answer {
    match next {
        None => ok(document),
        Some(next) => with(ok(document), LINK, &format!("<{next}>; rel=\"next\"")),
    }
}

/// 200 with these pieces, each read when the client has taken the one before. An error of the first one is the answer;
/// a later one breaks the transfer off, so that the client does not take a part for the whole.
pub(crate) async fn export(
    name: &str,
    format: ExportFormat,
    pieces: impl Stream<Item = Result<Bytes, ManageError>> + Send + 'static,
) -> Result<Response, ManageError> {
    let mut pieces = Box::pin(pieces);
    let first = pieces.next().await.transpose()?;
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(pieces));
    let name = format!("attachment; filename=\"{name}-{}.{}\"", today(), format.extension());
    // A name of ours and a date are always a header.
    let disposition = name.parse().unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(format.media_type())), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

/// The date in UTC, for the name of a file.
fn today() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::MIN.saturating_add(since_1970);
    now.to_string().chars().take(10).collect()
}

/// A path or a version always fits into a header.
fn with(answer: Answer, name: HeaderName, value: &str) -> Answer {
    let mut answer = answer?;
    answer.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|_| HttpError::Unwritable)?);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use http_body_util::BodyExt;
    use tower_api_keys::{Actor, ApiKeys, KeyId, store::MemoryStore};

    use super::*;

    #[tokio::test]
    async fn a_piece_is_read_when_the_one_before_is_taken() {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let pieces = stream::iter(0..1000).map(move |n| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(format!("{n}\n")))
        });
        let mut body = export("numbers", ExportFormat::Csv, pieces).await.unwrap().into_body();
        for expected in [1, 1, 2, 3] {
            assert_eq!(read.load(Ordering::SeqCst), expected);
            body.frame().await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn an_error_of_the_first_piece_is_the_answer_and_a_later_one_breaks_the_transfer_off() {
        let manager = ApiKeys::new(MemoryStore::new()).unwrap().manager();
        let actor = Actor::system("a test").unwrap();
        let unknown = KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let error = async || manager.find(&unknown, &actor).await.unwrap_err();
        let first = stream::iter([Err(error().await)]);
        assert!(export("none", ExportFormat::Csv, first).await.is_err());
        let later = stream::iter([Ok(Bytes::from_static(b"a line")), Err(error().await)]);
        let body = export("part", ExportFormat::Csv, later).await.unwrap().into_body();
        assert!(body.collect().await.is_err());
    }
}
