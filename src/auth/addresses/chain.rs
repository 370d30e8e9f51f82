//! Headers to which each proxy appends at the right end. A stranger may have written what is left of the trusted part,
//! and that must not change what is read. So these headers are read from the right.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;

/// The element at this position, counted from the right; 1 is the last one. Several lines are one list, in their order.
///
/// Commas inside quotes do not separate. None if a line has an unmatched quote, or if the part that is read has a
/// backslash: no address is written with one, and it would hide a quote.
pub(super) fn nth_from_the_right<'a>(headers: &'a HeaderMap, name: &str, place: u8) -> Option<&'a str> {
    let mut left = place;
    // A header map iterates over the values of one name from both ends.
    let mut lines = headers.get_all(name).iter();
    while let Some(line) = lines.next_back() {
        let line = line.as_bytes();
        let (mut end, mut is_quoted) = (line.len(), false);
        for (index, byte) in line.iter().enumerate().rev() {
            match byte {
                b'\\' => return None,
                b'"' => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    left = left.checked_sub(1)?;
                    if left == 0 {
                        return trimmed(line.get(index + 1..end)?);
                    }
                    end = index;
                }
                _ => {}
            }
        }
        if is_quoted {
            return None;
        }
        left = left.checked_sub(1)?;
        if left == 0 {
            return trimmed(line.get(..end)?);
        }
    }
    None
}

/// An element without the blanks around it; none if it is no ASCII.
fn trimmed(element: &[u8]) -> Option<&str> {
    let element = std::str::from_utf8(element).ok().filter(|text| text.is_ascii())?;
    Some(element.trim_matches([' ', '\t']))
}

/// An entry of `X-Forwarded-For`: an address, with or without a port. IPv6 without brackets, as some proxies write it,
/// has no port.
pub(super) fn forwarded_for(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| node(entry))
}

/// The `for` of an element of `Forwarded`: pairs with semicolons between them (RFC 7239 §4).
pub(super) fn forwarded(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in pairs(element) {
        let (name, value) = pair.split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').filter(|inside| !inside.contains('"'))?,
            None if value.is_empty() || value.contains('"') => return None,
            None => value,
        };
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    node(found?)
}

/// Split at the semicolons outside quotes.
fn pairs(element: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    element.split(move |character| {
        is_quoted ^= character == '"';
        character == ';' && !is_quoted
    })
}

/// An IPv4 address, or an IPv6 address in brackets, with or without a port (RFC 7239 §6).
fn node(text: &str) -> Option<IpAddr> {
    if let Some(six) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return six.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    match text.parse::<SocketAddr>() {
        Ok(SocketAddr::V6(six)) if six.scope_id() != 0 => None,
        Ok(address) => Some(address.ip()),
        Err(_) => text.parse().ok().filter(IpAddr::is_ipv4),
    }
}
