//! Bytes under a name.

use std::slice::from_ref;

use super::{Candidate, Unmet, at_once, scene::Scene, unmet::same};
use crate::store::KeyStore;

/// The first bytes under a name stay, and whoever comes later is told them.
///
/// # Errors
/// The clause is not met.
pub async fn a_name_is_written_once<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let name = scene.word();
    for value in [b"blue".as_slice(), b"red", b"", b"blue"] {
        same("what stands under a name", &candidate.put_meta(&name, value).await?, &b"blue".to_vec())?;
    }
    Ok(())
}

/// Any bytes are kept, none and zeros among them, and names are compared byte by byte.
///
/// # Errors
/// The clause is not met.
pub async fn any_bytes_are_kept<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let stem = scene.word();
    let long: Vec<u8> = (0..=255).cycle().take(4_096).collect();
    let values = [
        ("a", Vec::new()),
        ("A", vec![0]),
        ("a ", vec![0xff, 0, 0xfe]),
        ("%", b"'; --".to_vec()),
        ("_", long),
        ("\u{e9}", vec![1]),
        ("e\u{301}", vec![2]),
    ];
    for again in [false, true] {
        for (end, first) in &values {
            let name = format!("{stem}{end}");
            // The first time round each is new; the second time, what was first stands.
            let put = if again { b"later".to_vec() } else { first.clone() };
            same(&format!("what stands under {name:?}"), &candidate.put_meta(&name, &put).await?, first)?;
        }
    }
    Ok(())
}

/// Of many that write a name at once one wins, and all are told the same.
///
/// # Errors
/// The clause is not met.
pub async fn a_race_for_a_name_has_one_winner<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::one_name(from_ref(candidate)).await
}
