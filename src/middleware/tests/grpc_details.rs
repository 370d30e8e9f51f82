//! What a client reads from `grpc-status-details-bin`, with a reader that shares no code with the writer.

use base64ct::{Base64Unpadded, Encoding};

/// A `google.rpc.Status` with its `ErrorInfo` and `RetryInfo`.
#[derive(Debug, Default, PartialEq)]
pub(in crate::middleware) struct Details {
    pub(in crate::middleware) code: u64,
    pub(in crate::middleware) message: String,
    pub(in crate::middleware) reason: String,
    pub(in crate::middleware) domain: String,
    pub(in crate::middleware) metadata: Vec<(String, String)>,
    pub(in crate::middleware) retry_seconds: Option<u64>,
}

impl Details {
    pub(in crate::middleware) fn read(header: &str) -> Self {
        let mut details = Self::default();
        for (field, value) in fields(&Base64Unpadded::decode_vec(header).unwrap()) {
            match field {
                1 => details.code = value.number(),
                2 => details.message = value.text(),
                3 => details.read_any(&value.message()),
                _ => panic!("field {field}"),
            }
        }
        details
    }

    fn read_any(&mut self, any: &[(u64, Value)]) {
        let [(1, of), (2, value)] = any else { panic!("{any:?}") };
        for (field, value) in value.message() {
            match (of.text().as_str(), field) {
                ("type.googleapis.com/google.rpc.ErrorInfo", 1) => self.reason = value.text(),
                ("type.googleapis.com/google.rpc.ErrorInfo", 2) => self.domain = value.text(),
                ("type.googleapis.com/google.rpc.ErrorInfo", 3) => {
                    let entry = value.message();
                    let [(1, name), (2, value)] = &entry[..] else { panic!("{entry:?}") };
                    self.metadata.push((name.text(), value.text()));
                }
                ("type.googleapis.com/google.rpc.RetryInfo", 1) => {
                    let duration = value.message();
                    let [(1, seconds)] = &duration[..] else { panic!("{duration:?}") };
                    self.retry_seconds = Some(seconds.number());
                }
                (other, field) => panic!("field {field} of {other}"),
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn number(&self) -> u64 {
        let Self::Number(number) = self else { panic!("{self:?}") };
        *number
    }

    fn text(&self) -> String {
        let Self::Bytes(bytes) = self else { panic!("{self:?}") };
        String::from_utf8(bytes.clone()).unwrap()
    }

    fn message(&self) -> Vec<(u64, Self)> {
        let Self::Bytes(bytes) = self else { panic!("{self:?}") };
        fields(bytes)
    }
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            kind => panic!("wire type {kind}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (varint, rest) = bytes.split_at(length);
    *bytes = rest;
    varint.iter().rev().fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f))
}
