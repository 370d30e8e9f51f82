use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response: that of the inner service, or that of a refusal.
    ///
    /// A body for any `B: Body<Data = Bytes>`: those of axum, hyper, tonic and http-body-util.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body::Body;
    /// use tower_api_keys::middleware::{Refusal, RefusalCode, ResponseBody};
    ///
    /// let response = Refusal::new(RefusalCode::PlanRequired).into_http::<String>();
    /// let body: &ResponseBody<String> = response.body();
    /// assert!(body.size_hint().exact().is_some_and(|length| length > 0));
    /// ```
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        // Public text of this crate or of the embedder; empty when it was sent.
        Refusal { text: Bytes },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) const fn refusal(text: Bytes) -> Self {
        Self { kind: Kind::Refusal { text } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Refusal { text } if text.is_empty() => Poll::Ready(None),
            KindProj::Refusal { text } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Refusal { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Refusal { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_sent_once_and_its_length_is_known() {
        let mut body = ResponseBody::<Full<Bytes>>::refusal(Bytes::from_static(b"no"));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(2), false));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "no");
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_empty_refusal_ends_before_it_is_polled() {
        assert!(ResponseBody::<Full<Bytes>>::refusal(Bytes::new()).is_end_stream());
    }

    #[tokio::test]
    async fn the_inner_body_passes_with_its_length_and_trailers() {
        let trailers = http::HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("1"))]);
        let inner = Full::new(Bytes::from_static(b"yes")).with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
        let body = ResponseBody::inner(inner);
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers(), Some(&trailers));
        assert_eq!(whole.to_bytes(), "yes");
        let body = ResponseBody::inner(Full::new(Bytes::from_static(b"yes")));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
    }
}
