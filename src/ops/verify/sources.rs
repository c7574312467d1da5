//! Where bytes that the store lost may still be: the trash, and weights files as they lie in the work trees.
//!
//! A weights file is looked at as its format has it, as any sidecar of that path ever had it, and whole. What is found
//! is named by its hash alone, so that it does not matter what the file is: another version, another format, or one
//! that was trained further and kept one tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::needs::Needs;
use crate::base::source::FileSource;
use crate::base::{Dtype, Failure, Fields, Kind, ObjectId, Progress, ReadAt, RepoPath};
use crate::model::{How, scan};
use crate::ops::error::Result;
use crate::ops::weights;
use crate::ops::workspace::Workspace;
use crate::store::{Element, PutItem, Span, StoreError, hash_all};

/// Runs of bytes of a file, by where they begin and how long they are; and how they are read, where that is known.
type Runs = BTreeMap<(u64, u64), Option<Dtype>>;

/// Stores again what can be found of these objects, and says where each was.
pub(super) fn store_again(
    ws: &Workspace,
    needs: &Needs,
    lost: &BTreeSet<ObjectId>,
    progress: &dyn Progress,
) -> Result<BTreeMap<ObjectId, String>> {
    let mut found = BTreeMap::new();
    let ids: Vec<ObjectId> = lost.iter().copied().collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let trash = ws.store().in_trash_good(&ids, progress)?;
    let items: Vec<_> = trash
        .iter()
        .map(|object| item(object, 0, object.len(), object.element(), object.fields()))
        .collect();
    for id in put(ws, lost, &items, progress)? {
        found.insert(id, "the trash".to_owned());
    }
    let paths: BTreeSet<&RepoPath> = needs.sources.iter().map(|source| &source.path).collect();
    for root in roots(ws) {
        for path in &paths {
            let mut left = lost.clone();
            left.retain(|id| !found.contains_key(id));
            if left.is_empty() {
                return Ok(found);
            }
            let Some(file) = open(&root, path) else {
                continue;
            };
            let runs = runs(needs, path, &file, &left);
            match of_file(ws, &file, &runs, &left, progress) {
                Ok(ids) => {
                    let name = path.on(&root);
                    let name = match root == ws.root() {
                        true => path.to_string(),
                        false => name.display().to_string(),
                    };
                    found.extend(ids.into_iter().map(|id| (id, name.clone())));
                }
                // It changes at this moment, or cannot be read: it is no source.
                Err(e) if matches!(e.kind(), Kind::Changed | Kind::Io) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(found)
}

/// The tops of all work trees that are there, this one first.
fn roots(ws: &Workspace) -> Vec<PathBuf> {
    let mut roots = vec![ws.root().to_owned()];
    // One that is on another disk is no source; which it is cannot be told, and this one is enough to go on.
    let others = ws.repo().work_trees().unwrap_or_default();
    let here = ws.root().canonicalize().ok();
    let others = others.into_iter().map(|tree| tree.root);
    roots.extend(others.filter(|root| Some(root) != here.as_ref()));
    roots
}

/// A weights file, if it is a regular one that no link leads to.
fn open(root: &Path, path: &RepoPath) -> Option<FileSource> {
    let full = path.on(root);
    let regular = full.symlink_metadata().is_ok_and(|stat| stat.is_file());
    match regular && path.blocked_by(root).is_none() {
        true => FileSource::open(&full).ok(),
        false => None,
    }
}

/// What of a file may be one of these objects, by its length.
fn runs(needs: &Needs, path: &RepoPath, file: &dyn ReadAt, left: &BTreeSet<ObjectId>) -> Runs {
    let mut lens = BTreeSet::new();
    // What only other objects are written with may have any length.
    let mut any = false;
    let mut runs = Runs::new();
    for id in left {
        let Some(need) = needs.objects.get(id) else {
            any = true;
            continue;
        };
        for place in &need.places {
            lens.insert(place.len);
            if needs.sources[place.source].path == *path {
                runs.insert((place.offset, place.len), need.dtype.clone());
            }
        }
    }
    let mut add = |offset: u64, len: u64, dtype: Option<Dtype>| {
        if any || lens.contains(&len) {
            let known = runs.entry((offset, len)).or_default();
            *known = known.take().or(dtype);
        }
    };
    add(0, file.len(), None);
    if let Ok(scanned) = scan(file, path.name(), How { opaque: false }) {
        let outline = weights::outline(scanned.tiling);
        for (piece, (_, len, dtype)) in outline.pieces().zip(outline.objects()) {
            add(piece.offset, len, dtype);
        }
        for tensor in outline.tensors() {
            if tensor.location.strides.is_none() {
                let (offset, len) = (tensor.location.offset, tensor.location.bytes);
                add(offset, len, Some(tensor.dtype));
            }
        }
    }
    let inside = |offset: u64, len: u64| {
        let end = offset.checked_add(len);
        end.is_some_and(|end| end <= file.len())
    };
    runs.retain(|(offset, len), _| inside(*offset, *len));
    runs
}

fn of_file(
    ws: &Workspace,
    file: &FileSource,
    runs: &Runs,
    left: &BTreeSet<ObjectId>,
    progress: &dyn Progress,
) -> Result<Vec<ObjectId>> {
    let spans: Vec<Span<'_>> = runs
        .keys()
        .map(|(offset, len)| Span {
            source: file,
            offset: *offset,
            len: *len,
        })
        .collect();
    let ids = hash_all(&spans, progress)?;
    let mut items = Vec::new();
    let mut taken = BTreeSet::new();
    for (id, ((offset, len), dtype)) in ids.into_iter().zip(runs) {
        if left.contains(&id) && taken.insert(id) {
            let (element, fields) = (
                weights::element(dtype.as_ref()),
                dtype.as_ref().and_then(weights::fields),
            );
            items.push(item(file, *offset, *len, element, fields));
        }
    }
    put(ws, left, &items, progress)
}

fn item(
    source: &dyn ReadAt,
    offset: u64,
    len: u64,
    element: Element,
    fields: Option<Fields>,
) -> PutItem<'_> {
    PutItem {
        source,
        offset,
        len,
        element,
        expect: None,
        // What it would be written with may itself be written with what is damaged: read here in good chunks alone,
        // and gone with the damaged pack.
        bases: Vec::new(),
        numbers: None,
        fields,
    }
}

/// Stores these, whatever the store has of them; which of the lost objects they are.
fn put(
    ws: &Workspace,
    lost: &BTreeSet<ObjectId>,
    items: &[PutItem<'_>],
    progress: &dyn Progress,
) -> Result<Vec<ObjectId>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = ws.store().writer()?;
    writer.anew(lost.iter().copied());
    let puts = match writer.put_all(items, progress) {
        Err(StoreError::Source { .. }) => return Ok(Vec::new()),
        puts => puts?,
    };
    writer.finish()?;
    let ids = puts.into_iter().map(|put| put.id);
    Ok(ids.filter(|id| lost.contains(id)).collect())
}
