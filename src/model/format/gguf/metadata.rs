//! The keys and their values: gone over, not kept, but for the one that says where tensors may begin.

use std::collections::HashSet;

use super::cursor::Cursor;
use super::{Refusal, Result};

/// The key of the alignment.
const ALIGNMENT: &[u8] = b"general.alignment";

/// The alignment where no key says otherwise.
const USUAL_ALIGNMENT: u64 = 32;

/// How deep arrays may lie in arrays.
const MAX_DEPTH: usize = 8;

const U32: u32 = 4;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Goes over so many keys with their values; what they say of the alignment.
pub(super) fn alignment(cursor: &mut Cursor<'_>, keys: u64) -> Result<u64> {
    let mut found = HashSet::new();
    let mut alignment = USUAL_ALIGNMENT;
    for _ in 0..keys {
        let key = cursor.name()?;
        let wrong = |problem| {
            let key = String::from_utf8_lossy(&key).into_owned();
            Refusal::Key { key, problem }
        };
        match (cursor.u32()?, key.as_slice()) {
            (U32, ALIGNMENT) => {
                alignment = cursor.u32()?.into();
                // The specification wants a multiple of 8, ggml a power of two up to 1 MiB.
                if !alignment.is_power_of_two() || !(8..=1 << 20).contains(&alignment) {
                    let problem = "is not a power of two from 8 to 1048576";
                    return Err(wrong(problem).into());
                }
            }
            (_, ALIGNMENT) => return Err(wrong("is no number of 32 bits").into()),
            (kind, _) => skip(cursor, kind, &wrong)?,
        }
        if found.contains(&key) {
            return Err(wrong("is given twice").into());
        }
        found.insert(key);
    }
    Ok(alignment)
}

/// The bytes of a value of a kind that always has as many; `None` for others.
fn fixed(kind: u32) -> Option<u64> {
    match kind {
        // U8, I8 and truth values.
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        // U32, I32 and F32.
        4..=6 => Some(4),
        // U64, I64 and F64.
        10..=12 => Some(8),
        _ => None,
    }
}

/// Goes over one value. Arrays in arrays are kept on a list of our own: a file must not choose how deep we call.
fn skip(cursor: &mut Cursor<'_>, kind: u32, wrong: &dyn Fn(&'static str) -> Refusal) -> Result<()> {
    // Kinds of values, and how many are to come of each.
    let mut open = vec![(kind, 1u64)];
    while let Some((kind, left)) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        match *kind {
            ARRAY => {
                *left -= 1;
                let (kind, count) = (cursor.u32()?, cursor.u64()?);
                if open.len() > MAX_DEPTH {
                    return Err(wrong("has arrays in arrays more than 8 deep").into());
                }
                open.push((kind, count));
            }
            TEXT => {
                *left -= 1;
                let bytes = cursor.u64()?;
                cursor.skip(bytes)?;
            }
            kind => {
                let size = fixed(kind).ok_or_else(|| wrong("has a value of an unknown kind"))?;
                let bytes = left.checked_mul(size).ok_or(Refusal::Cut)?;
                cursor.skip(bytes)?;
                open.pop();
            }
        }
    }
    Ok(())
}
