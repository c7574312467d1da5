//! Weights files to tilings. One file per format; nothing here executes what a file asks for.

pub(crate) mod gguf;
mod opaque;
pub(crate) mod safetensors;
mod tiling;
mod torch;

use std::io;

use crate::base::{Failure, Kind, ReadAt};

pub use gguf::Refusal as GgufRefusal;
pub use safetensors::HeaderError;
pub use tiling::{Gather, Span, Tiling, tile_as};

/// How a weights file is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// As plain bytes, whatever its name says.
    pub opaque: bool,
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// How the file is cut.
    pub tiling: Tiling,
    /// What its owner should know, in words: why its tensors could not be seen.
    pub notes: Vec<String>,
}

/// A weights file that cannot be tiled.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The disk, or a file that shrank meanwhile.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
    /// A safetensors file that is none.
    #[error("not a well-formed safetensors file")]
    Safetensors(#[from] HeaderError),
    /// A GGUF file whose tensors cannot be told. A scan makes a note of it instead.
    #[error("not a GGUF file that can be read by tensor: {0}")]
    Gguf(#[from] GgufRefusal),
}

/// The result of a scan.
pub type Result<T> = std::result::Result<T, FormatError>;

impl Failure for FormatError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => Kind::Changed,
            Self::Read(_) => Kind::Io,
            Self::Safetensors(_) | Self::Gguf(_) => Kind::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) | Self::Gguf(_) => None,
            Self::Safetensors(HeaderError::Pointer) => Some("run `git lfs pull` first".into()),
            Self::Safetensors(HeaderError::WebPage) => Some("download the file itself".into()),
            Self::Safetensors(_) => {
                Some("`mvc add --opaque` tracks it as plain bytes, without its tensors".into())
            }
        }
    }
}

/// Cuts a weights file into spans, by what it is called and by what it contains.
///
/// `name` is the file's name or path. A file called `.safetensors` must be one; a torch checkpoint or GGUF file that
/// cannot be read in full is opaque, with a note that says why; everything else is opaque.
pub fn scan(file: &dyn ReadAt, name: &str, how: How) -> Result<Scanned> {
    let plain = |notes| {
        Ok(Scanned {
            tiling: opaque::scan(file.len()),
            notes,
        })
    };
    if how.opaque {
        return plain(Vec::new());
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "safetensors" => Ok(Scanned {
            tiling: safetensors::scan(file)?,
            notes: Vec::new(),
        }),
        extension @ ("pth" | "pt" | "ckpt" | "bin") => match torch::scan(file) {
            Ok(tiling) => Ok(Scanned {
                tiling,
                notes: Vec::new(),
            }),
            // `.bin` can be anything.
            Err(torch::Stop::Refused(torch::Refusal::NotTorch)) if extension == "bin" => {
                plain(Vec::new())
            }
            Err(torch::Stop::Refused(why)) => plain(vec![format!("kept as plain bytes: {why}")]),
            Err(torch::Stop::Read(error)) => Err(error.into()),
        },
        "gguf" => match gguf::scan(file) {
            Ok(tiling) => Ok(Scanned {
                tiling,
                notes: Vec::new(),
            }),
            Err(FormatError::Gguf(why)) => plain(vec![format!("kept as plain bytes: {why}")]),
            Err(error) => Err(error),
        },
        _ => plain(Vec::new()),
    }
}
