//! What a gRPC client gets besides status and message, in the form of Google's APIs (AIP-193): a `google.rpc.Status`
//! with an `ErrorInfo`, and a `RetryInfo` if a retry can help. Clients read it with their gRPC library.

use base64ct::{Base64Unpadded, Encoding};

use super::super::refusal::Refusal;
use crate::{key::MalformedReason, owner::KeyKind};

/// The domain of these codes: other services have codes of the same names.
const DOMAIN: &str = "tower-api-keys";

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The value of the header `grpc-status-details-bin`.
pub(super) fn encoded(refusal: &Refusal) -> String {
    let status = Message::default()
        .number(1, refusal.code().grpc_status().into())
        .text(2, refusal.detail())
        .message(3, any(ERROR_INFO, &error_info(refusal)));
    let status = match refusal.retry_seconds() {
        Some(seconds) => status.message(3, any(RETRY_INFO, &retry_info(seconds))),
        None => status,
    };
    // "Senders should emit un-padded values": the gRPC protocol on headers that end with `-bin`.
    Base64Unpadded::encode_string(&status.0)
}

/// The code in capitals, as required for `reason`, and the other members of the problem document.
fn error_info(refusal: &Refusal) -> Message {
    let info = Message::default().text(1, &refusal.code().as_str().to_ascii_uppercase()).text(2, DOMAIN);
    let metadata = [
        ("reason", refusal.reason().map(MalformedReason::as_str)),
        ("scope", refusal.scope()),
        ("kind", refusal.kind().map(KeyKind::as_str)),
    ];
    let known = metadata.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.fold(info, |info, (name, value)| info.message(3, Message::default().text(1, name).text(2, value)))
}

fn retry_info(seconds: u64) -> Message {
    // Some 10,000 years: the longest `Duration` in Protocol Buffers.
    let seconds = seconds.min(315_576_000_000);
    Message::default().message(1, Message::default().number(1, seconds))
}

fn any(type_url: &str, message: &Message) -> Message {
    Message::default().text(1, type_url).bytes(2, &message.0)
}

/// A message of Protocol Buffers under construction. Fields are numbered from 1 to 15, which makes a tag one byte.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u8, value: u64) -> Self {
        self.0.push(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u8, value: &[u8]) -> Self {
        self.0.push((field << 3) | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(self, field: u8, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u8, value: Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Seven bits a byte, the lowest first; all but the last have the highest bit set.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        key::MalformedReason,
        middleware::{RefusalCode, tests::grpc_details::Details},
    };

    fn decoded(refusal: &Refusal) -> Details {
        Details::read(&encoded(refusal))
    }

    #[test]
    fn a_status_says_code_sentence_and_reason() {
        let details = decoded(&Refusal::new(RefusalCode::KeyRevoked));
        assert_eq!((details.code, details.message.as_str()), (16, RefusalCode::KeyRevoked.detail()));
        assert_eq!((details.reason.as_str(), details.domain.as_str()), ("KEY_REVOKED", "tower-api-keys"));
        assert_eq!((details.metadata, details.retry_seconds), (vec![], None));
    }

    #[test]
    fn a_malformed_key_says_why() {
        let details = decoded(&Refusal::malformed(MalformedReason::Checksum));
        assert_eq!(details.reason, "MALFORMED_KEY");
        assert_eq!(details.metadata, [("reason".to_owned(), "checksum".to_owned())]);
    }

    #[test]
    fn an_unavailable_answer_says_when_to_ask_again() {
        let refusal = |seconds| Refusal::new(RefusalCode::Overloaded).with_retry_after(Duration::from_secs(seconds));
        assert_eq!(decoded(&Refusal::new(RefusalCode::StoreUnavailable)).retry_seconds, Some(1));
        // More than seven bits.
        assert_eq!(decoded(&refusal(300)).retry_seconds, Some(300));
        assert_eq!(decoded(&refusal(u64::MAX)).retry_seconds, Some(315_576_000_000));
    }
}
