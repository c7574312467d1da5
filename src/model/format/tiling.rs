//! A cut of a weights file into spans, before their ids are known.

use std::io;

use crate::base::{Dtype, ObjectId, Progress, ReadAt};
use crate::model::manifest::{Manifest, Segment};
use crate::model::view::{InOrder, Strided};

/// Stands where an id is not known yet.
pub(super) const UNKNOWN: ObjectId = ObjectId::from_bytes([0; 32]);

/// What a weights file is made of. Its spans are to be hashed or stored, and [`Tiling::with_ids`] makes a
/// [`Manifest`] of the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// All of the manifest but its ids.
    manifest: Manifest,
    spans: Vec<Span>,
    gathers: Vec<Gather>,
}

/// A tensor and its place in the file, as a header has it.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// A run of bytes that becomes one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
    /// How its bytes are read; `None` for a literal.
    pub dtype: Option<Dtype>,
    /// The tensor's name, or that of the first view of a storage; `None` for a literal.
    pub name: Option<String>,
    /// The tensor's shape, or that of the first view of a storage; empty for a literal.
    pub shape: Vec<u64>,
}

/// A view whose own id must be computed: the hash of its elements laid out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// The index of its storage among the spans.
    pub span: usize,
    /// Where that storage begins in the file.
    base: u64,
    strided: Strided,
}

impl Gather {
    /// How many bytes there are to hash.
    pub fn len(&self) -> u64 {
        self.strided.bytes()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The view's bytes in order, read from the weights file.
    pub fn read<'a>(&self, file: &'a dyn ReadAt) -> InOrder<'a> {
        self.strided.of(file, self.base)
    }

    /// The view's id, read from the weights file; an error of kind `Interrupted` once `progress` is cancelled.
    pub fn id(&self, file: &dyn ReadAt, progress: &dyn Progress) -> io::Result<ObjectId> {
        self.read(file).id(progress)
    }
}

impl Tiling {
    /// A tiling like this manifest, whose ids do not matter. Views must have been checked.
    pub(super) fn new(manifest: Manifest) -> Self {
        let mut spans = Vec::with_capacity(manifest.segments.len());
        let mut gathers = Vec::new();
        for piece in manifest.pieces() {
            let (dtype, name, shape) = match piece.segment {
                Segment::Literal { .. } => (None, None, None),
                Segment::Tensor(tensor) => {
                    (Some(&tensor.dtype), Some(&tensor.name), Some(&tensor.shape))
                }
                Segment::Storage(storage) => {
                    gathers.extend(storage.views.iter().map(|view| Gather {
                        span: spans.len(),
                        base: piece.offset,
                        strided: view.strided().expect("views of manifests are checked"),
                    }));
                    let first = storage.views.first();
                    let name = first.map(|view| &view.name);
                    (Some(&storage.dtype), name, first.map(|view| &view.shape))
                }
            };
            spans.push(Span {
                offset: piece.offset,
                len: piece.segment.bytes(),
                dtype: dtype.cloned(),
                name: name.cloned(),
                shape: shape.cloned().unwrap_or_default(),
            });
        }
        Self {
            manifest,
            spans,
            gathers,
        }
    }

    /// The runs of bytes, in byte order; together they are the file.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The views that need ids of their own.
    pub fn gathers(&self) -> &[Gather] {
        &self.gathers
    }

    /// The length of the file.
    pub fn file_len(&self) -> u64 {
        self.manifest.file_len()
    }

    /// The manifest, with the ids of [`Tiling::spans`] and of [`Tiling::gathers`] in their order.
    ///
    /// # Panics
    ///
    /// If there are not as many ids as spans, and as many as gathers.
    pub fn with_ids(self, span_ids: &[ObjectId], view_ids: &[ObjectId]) -> Manifest {
        assert_eq!(span_ids.len(), self.spans.len(), "an id for every span");
        assert_eq!(view_ids.len(), self.gathers.len(), "an id for every view");
        let mut manifest = self.manifest;
        let mut views = view_ids.iter();
        for (segment, span_id) in manifest.segments.iter_mut().zip(span_ids) {
            match segment {
                Segment::Literal { id, .. } => *id = *span_id,
                Segment::Tensor(tensor) => tensor.id = *span_id,
                Segment::Storage(storage) => {
                    storage.id = *span_id;
                    for (view, id) in storage.views.iter_mut().zip(&mut views) {
                        view.id = *id;
                    }
                }
            }
        }
        manifest
    }
}

/// The tiling of an existing sidecar, by which `status` hashes a file: a better reader of tomorrow must not make
/// today's versions look changed.
pub fn tile_as(manifest: &Manifest) -> Tiling {
    let mut manifest = manifest.clone();
    for segment in &mut manifest.segments {
        match segment {
            Segment::Literal { id, .. } => *id = UNKNOWN,
            Segment::Tensor(tensor) => tensor.id = UNKNOWN,
            Segment::Storage(storage) => {
                storage.id = UNKNOWN;
                for view in &mut storage.views {
                    view.id = UNKNOWN;
                }
            }
        }
    }
    Tiling::new(manifest)
}
