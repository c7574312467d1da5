//! The few calls in pickles that mean something here: those by which torch writes tensors.

use super::pickle::{Id, Step, Text, Value, Values};
use crate::base::Dtype;
use crate::model::manifest::MAX_RANK;
use crate::model::view;

/// A storage, as a pickle refers to it.
#[derive(Clone, Debug)]
pub(super) struct StorageRef {
    /// Its name in the archive.
    key: Text,
    /// Its dtype; `None` for one of bare bytes.
    dtype: Option<Dtype>,
    /// Its length in bytes.
    bytes: u64,
}

/// A tensor, as a pickle describes it.
#[derive(Clone, Debug)]
pub(super) struct TensorRef {
    /// The name of its storage in the archive.
    pub(super) key: Text,
    /// The length of that storage.
    pub(super) storage_bytes: u64,
    /// Its dtype.
    pub(super) dtype: Dtype,
    /// Where it begins in the storage, in bytes.
    pub(super) offset: u64,
    /// Its sides.
    pub(super) shape: Vec<u64>,
    /// Its strides in their one form.
    pub(super) strides: Vec<u64>,
}

/// What a call makes.
pub(super) enum Made {
    /// A new value.
    Value(Value),
    /// What was there already.
    Existing(Id),
    /// Nothing that is known here.
    Unknown,
}

/// Reads the reference to a storage that a persistent id is.
pub(super) fn storage(values: &Values<'_>, id: Id) -> Step<StorageRef> {
    let problem = "refers to something other than a storage";
    let Value::Tuple(parts) = values.get(id) else {
        return Err(problem);
    };
    let &[kind, class, key, _, len] = parts.as_slice() else {
        return Err(problem);
    };
    let (Some("storage"), Some((module, class)), &Value::Text(key), &Value::Int(len)) = (
        text(values, kind),
        global(values, class),
        values.get(key),
        values.get(len),
    ) else {
        return Err(problem);
    };
    let dtype = match (module, class) {
        ("torch" | "torch.storage", "UntypedStorage") => None,
        ("torch", class) => {
            let known = STORAGES.iter().find(|(name, _)| *name == class);
            let (_, dtype) = known.ok_or("has a storage of a type that is not known")?;
            Some(dtype.clone())
        }
        _ => return Err("has a storage of a type that is not known"),
    };
    let size = dtype.as_ref().and_then(Dtype::size).unwrap_or(1) as u64;
    let len = u64::try_from(len).map_err(|_| "has a storage of negative length")?;
    Ok(StorageRef {
        key,
        bytes: len
            .checked_mul(size)
            .ok_or("has a storage that is too long")?,
        dtype,
    })
}

/// What a call makes, where it is one of those that checkpoints consist of.
pub(super) fn call(values: &Values<'_>, what: Id, args: Id) -> Step<Made> {
    let (Some(what), Value::Tuple(args)) = (global(values, what), values.get(args)) else {
        return Ok(Made::Unknown);
    };
    let none = |id: &Id| match values.get(*id) {
        Value::None => true,
        Value::Dict(items) => items.is_empty(),
        _ => false,
    };
    Ok(match (what, args.as_slice()) {
        (("collections", "OrderedDict"), []) | (("collections", "defaultdict"), [_]) => {
            Made::Value(Value::Dict(Vec::new()))
        }
        (("collections", "OrderedDict"), [items]) => match pairs(values, *items) {
            Some(pairs) => Made::Value(Value::Dict(pairs)),
            None => Made::Unknown,
        },
        (("torch._utils", "_rebuild_tensor"), [storage, offset, shape, strides]) => {
            tensor(values, None, [*storage, *offset, *shape, *strides])?
        }
        (
            ("torch._utils", "_rebuild_tensor_v2"),
            [storage, offset, shape, strides, _, _, rest @ ..],
        ) if rest.len() <= 1 && rest.iter().all(none) => {
            tensor(values, None, [*storage, *offset, *shape, *strides])?
        }
        (
            ("torch._utils", "_rebuild_tensor_v3"),
            [storage, offset, shape, strides, _, _, dtype, rest @ ..],
        ) if rest.len() <= 1 && rest.iter().all(none) => {
            let named = match global(values, *dtype) {
                Some(("torch", name)) => DTYPES.iter().find(|(known, _)| *known == name),
                _ => None,
            };
            let (_, dtype) = named.ok_or("has a tensor of a dtype that is not known")?;
            tensor(values, Some(dtype), [*storage, *offset, *shape, *strides])?
        }
        (("torch._utils", "_rebuild_parameter"), [data, _, _])
            if matches!(values.get(*data), Value::Tensor(_)) =>
        {
            Made::Existing(*data)
        }
        _ => Made::Unknown,
    })
}

/// A tensor from its storage, its offset in elements, its sides and its strides.
fn tensor(values: &Values<'_>, dtype: Option<&Dtype>, parts: [Id; 4]) -> Step<Made> {
    let [storage, offset, shape, strides] = parts;
    let (Value::Storage(storage), &Value::Int(offset)) = (values.get(storage), values.get(offset))
    else {
        return Ok(Made::Unknown);
    };
    let dtype = dtype.or(storage.dtype.as_ref());
    let dtype = dtype.ok_or("has a tensor without a dtype")?.clone();
    let problem = "has a tensor whose numbers cannot be";
    let (shape, strides) = (numbers(values, shape)?, numbers(values, strides)?);
    let size = dtype.size().ok_or(problem)? as u64;
    let offset = u64::try_from(offset).ok().and_then(|o| o.checked_mul(size));
    let offset = offset.ok_or(problem)?;
    if shape.len() != strides.len() {
        return Err(problem);
    }
    Ok(Made::Value(Value::Tensor(Box::new(TensorRef {
        key: storage.key,
        storage_bytes: storage.bytes,
        dtype,
        offset,
        strides: view::normal(&shape, &strides),
        shape,
    }))))
}

/// A tuple of numbers, as sides and strides are.
fn numbers(values: &Values<'_>, id: Id) -> Step<Vec<u64>> {
    let problem = "has a tensor whose sides or strides are no numbers";
    let Value::Tuple(items) = values.get(id) else {
        return Err(problem);
    };
    if items.len() > MAX_RANK {
        return Err("has a tensor of more dimensions than are read");
    }
    let number = |id: &Id| match values.get(*id) {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    items
        .iter()
        .map(number)
        .collect::<Option<_>>()
        .ok_or(problem)
}

/// A list of pairs, by which older pickles fill an ordered dict.
fn pairs(values: &Values<'_>, id: Id) -> Option<Vec<(Id, Id)>> {
    let Value::List(items) = values.get(id) else {
        return None;
    };
    let pair = |id: &Id| match values.get(*id) {
        Value::Tuple(pair) | Value::List(pair) => match pair.as_slice() {
            [key, value] => Some((*key, *value)),
            _ => None,
        },
        _ => None,
    };
    items.iter().map(pair).collect()
}

fn text<'a>(values: &'a Values<'_>, id: Id) -> Option<&'a str> {
    match values.get(id) {
        Value::Text(text) => Some(values.text(*text)),
        _ => None,
    }
}

/// The module and name of a global.
pub(super) fn global<'a>(values: &'a Values<'_>, id: Id) -> Option<(&'a str, &'a str)> {
    match values.get(id) {
        Value::Global { module, name } => Some((values.text(*module), values.text(*name))),
        _ => None,
    }
}

/// The classes of storages in the module `torch`. Quantised ones are not among them: their tensors have scales.
const STORAGES: [(&str, Dtype); 12] = [
    ("FloatStorage", Dtype::F32),
    ("DoubleStorage", Dtype::F64),
    ("HalfStorage", Dtype::F16),
    ("BFloat16Storage", Dtype::BF16),
    ("LongStorage", Dtype::I64),
    ("IntStorage", Dtype::I32),
    ("ShortStorage", Dtype::I16),
    ("CharStorage", Dtype::I8),
    ("ByteStorage", Dtype::U8),
    ("BoolStorage", Dtype::Bool),
    ("ComplexFloatStorage", Dtype::C64),
    ("ComplexDoubleStorage", Dtype::C128),
];

/// The dtypes of the module `torch`.
const DTYPES: [(&str, Dtype); 17] = [
    ("float32", Dtype::F32),
    ("float64", Dtype::F64),
    ("float16", Dtype::F16),
    ("bfloat16", Dtype::BF16),
    ("int64", Dtype::I64),
    ("int32", Dtype::I32),
    ("int16", Dtype::I16),
    ("int8", Dtype::I8),
    ("uint8", Dtype::U8),
    ("uint16", Dtype::U16),
    ("uint32", Dtype::U32),
    ("uint64", Dtype::U64),
    ("bool", Dtype::Bool),
    ("complex64", Dtype::C64),
    ("complex128", Dtype::C128),
    ("float8_e4m3fn", Dtype::F8E4M3),
    ("float8_e5m2", Dtype::F8E5M2),
];
