//! A training on disk: `training.json` says what it is of, `training.safetensors` where it is, `loss.csv` how it went.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::{Value, json};

use super::{Since, State};
use crate::error::{BadInput, Result};
use crate::record::{LossRow, put, read_csv, to_csv};

const ABOUT: &str = "training.json";
const STATE: &str = "training.safetensors";
const CURVE: &str = "loss.csv";

/// What a folder holds of a training.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// One that was cut off.
    Begun,
    /// All of it, with the loss at the end.
    Finished(Vec<LossRow>),
}

/// Looks for a training of `identity` of so many steps in a folder.
///
/// # Errors
/// Files that cannot be read; a training of another identity: the first key that differs.
pub fn look(folder: &Path, identity: &Value) -> Result<Found> {
    let path = folder.join(ABOUT);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(BadInput::about("", format!("cannot be read: {e}"), "").file(path)),
    };
    let about: Value =
        serde_json::from_str(&text).map_err(|e| damaged(folder, &format!("is no JSON: {e}")))?;
    if let Some((key, then, now)) = difference("", &about["of"], identity) {
        let why = format!("was trained with {key} = {then}, and now {key} = {now}");
        return Err(BadInput::about("", why, "use --fresh to start over, or another --out").file(folder));
    }
    if about["finished"] != json!(true) {
        return Ok(Found::Begun);
    }
    Ok(Found::Finished(read_csv(&folder.join(CURVE))?))
}

/// Says what the training of a folder is of, and whether it has come to its end.
///
/// # Errors
/// A file that cannot be written.
pub fn announce(folder: &Path, identity: &Value, finished: bool) -> Result<()> {
    put(&folder.join(ABOUT), format!("{:#}\n", json!({ "finished": finished, "of": identity })).as_bytes())
}

/// Removes what a training left in a folder but for its checkpoint, which the next one will replace.
///
/// # Errors
/// Files that cannot be removed.
pub fn forget(folder: &Path) -> Result<()> {
    for name in [ABOUT, STATE, CURVE] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(BadInput::about("", format!("cannot be removed: {e}"), "").file(path));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first key that two values differ in, with what each has there.
fn difference(key: &str, then: &Value, now: &Value) -> Option<(String, String, String)> {
    let (Value::Object(a), Value::Object(b)) = (then, now) else {
        return (then != now).then(|| (key.into(), then.to_string(), now.to_string()));
    };
    let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    keys.into_iter().find_map(|k| {
        let inner = if key.is_empty() { k.clone() } else { format!("{key}.{k}") };
        difference(&inner, a.get(k).unwrap_or(&Value::Null), b.get(k).unwrap_or(&Value::Null))
    })
}

const ROWS: [&str; 4] = ["weights", "average", "first_moment", "second_moment"];

/// Writes where a training is.
pub(super) fn write(folder: &Path, identity: &Value, state: &State, since: Since) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| {
        BadInput::about("", format!("cannot be written: {e}"), "").file(folder.join(STATE))
    };
    let bytes = |row: Tensor| -> candle_core::Result<Vec<u8>> {
        Ok(row.to_device(&Device::Cpu)?.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect())
    };
    let rows =
        state.rows().and_then(|rows| rows.into_iter().map(bytes).collect::<candle_core::Result<Vec<_>>>());
    let rows = rows.map_err(|e| failed(&e))?;
    let view = |(name, bytes)| Ok((name, TensorView::new(Dtype::F32, vec![Vec::len(bytes) / 4], bytes)?));
    let views: std::result::Result<Vec<(&str, TensorView)>, safetensors::SafeTensorError> =
        ROWS.into_iter().zip(&rows).map(view).collect();
    let about = json!({
        "of": hash(identity),
        "step": state.step,
        // To the last bit.
        "since": [since.loss.to_bits(), since.norm.to_bits(), since.steps],
    });
    let about = HashMap::from([("scorebench".to_string(), about.to_string())]);
    let whole = views.and_then(|views| serialize(views, Some(about))).map_err(|e| failed(&e))?;
    put(&folder.join(STATE), &whole)
}

/// Where a training was, if it has saved at all.
pub(super) fn read(
    folder: &Path,
    identity: &Value,
    weights_count: usize,
    device: &Device,
) -> Result<Option<(State, Since)>> {
    let bytes = match std::fs::read(folder.join(STATE)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(damaged(folder, &format!("cannot be read: {e}"))),
    };
    let bad = |e: &dyn std::fmt::Display| damaged(folder, &format!("cannot be used: {e}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(&e))?;
    let about = header.metadata().as_ref().and_then(|m| m.get("scorebench"));
    let about: Value = about.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if about["of"] != json!(hash(identity)) {
        return Err(damaged(folder, "is of another training"));
    }
    let number = |value: &Value| value.as_u64().ok_or_else(|| damaged(folder, "has no step"));
    let since = &about["since"];
    let since = Since {
        loss: f64::from_bits(number(&since[0])?),
        norm: f64::from_bits(number(&since[1])?),
        steps: number(&since[2])?,
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(&e))?;
    let row = |name: &str| -> Result<Tensor> {
        let view = tensors.tensor(name).map_err(|e| bad(&e))?;
        let numbers: Vec<f32> =
            view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        Tensor::new(numbers, device).map_err(|e| bad(&e))
    };
    let [weights, average, first, second] = ROWS.map(row);
    let rows = [weights?, average?, first?, second?];
    if let Some(other) = rows.iter().find(|row| row.elem_count() != weights_count) {
        return Err(damaged(
            folder,
            &format!("holds {} weights and not {weights_count}", other.elem_count()),
        ));
    }
    let state = State::from_rows(number(&about["step"])?, &rows).map_err(|e| bad(&e))?;
    Ok(Some((state, since)))
}

pub(super) fn write_rows(folder: &Path, rows: &[LossRow]) -> Result<()> {
    put(&folder.join(CURVE), to_csv(rows).as_bytes())
}

/// The loss curve up to a step: that on disk may be ahead of the state.
pub(super) fn read_rows(folder: &Path, step: u64) -> Result<Vec<LossRow>> {
    let mut rows: Vec<LossRow> = read_csv(&folder.join(CURVE))?;
    rows.retain(|row| row.step <= step);
    Ok(rows)
}

pub(super) fn damaged(folder: &Path, why: &str) -> BadInput {
    BadInput::about("", why, "start over with --fresh").file(folder.join(STATE))
}

fn hash(identity: &Value) -> String {
    blake3::hash(identity.to_string().as_bytes()).to_hex().to_string()
}
