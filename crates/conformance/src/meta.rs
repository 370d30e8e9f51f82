//! Bytes under a name.

use std::slice::from_ref;

use futures_util::future::join_all;
use tower_api_keys::store::KeyStore;

use crate::{
    Candidate, Unmet, at_once,
    scene::Scene,
    unmet::{ensure, same},
};

pub(crate) async fn a_name_is_written_once<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let name = scene.word();
    for value in [b"blue".as_slice(), b"red", b"", b"blue"] {
        same("what stands under a name", &candidate.put_meta(&name, value).await?, &b"blue".to_vec())?;
    }
    Ok(())
}

pub(crate) async fn any_bytes_are_kept<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
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
            // In the first round each name is new; in the second round, the first bytes stay.
            let put = if again { b"later".to_vec() } else { first.clone() };
            same(&format!("what stands under {name:?}"), &candidate.put_meta(&name, &put).await?, first)?;
        }
    }
    Ok(())
}

pub(crate) async fn a_note_is_replaced_by_one<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (name, bytes) = (scene.word(), vec![0xff, 0, 0xfe]);
    let replace = async |old: &[u8], new: &[u8]| candidate.replace_note(&name, old, new).await;
    same("a note that was never written", &replace(b"", b"").await?, &Vec::new())?;
    same("a note replaced by who takes it for another", &replace(b"old", b"new").await?, &Vec::new())?;
    same("a note that is new", &replace(b"", &bytes).await?, &bytes)?;
    same("a note replaced by who takes it for new", &replace(b"", b"red").await?, &bytes)?;
    same("a note that is read", &replace(b"red", b"red").await?, &bytes)?;
    same("a note that is replaced", &replace(&bytes, b"red").await?, &b"red".to_vec())?;
    let values: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 4]).collect();
    let told = join_all(values.iter().map(|value| replace(b"red", value))).await;
    let told = told.into_iter().collect::<Result<Vec<_>, _>>()?;
    let standing = replace(b"", b"").await?;
    let winners = told.iter().zip(&values).filter(|(told, value)| told == value).count();
    same("how many of eight at once replaced a note", &winners, &1)?;
    ensure("all to be told what stands", told.iter().all(|told| *told == standing), told)
}

pub(crate) async fn a_race_for_a_name_has_one_winner<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::one_name(from_ref(candidate)).await
}
