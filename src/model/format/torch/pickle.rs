//! Pickles to values, without running any of them (<https://docs.python.org/3/library/pickletools.html>).
//!
//! Of the 68 opcodes those are read that `torch.save` writes, and a few more; the others are refused. A name of a
//! class or function is a symbol; a call of one that is not known in [`rebuild`](super::rebuild) is kept as a value
//! of its parts. Values lie in one list and refer to each other by index, so that neither reading nor dropping
//! them recurses, whatever refers to what.

use std::collections::HashMap;

use super::rebuild;
use super::{Refusal, Result};

/// The most values, and references between them, that are kept.
const MAX_KEPT: usize = 16 << 20;

/// The most values on the stack.
const MAX_STACK: usize = 4 << 20;

/// The index of a value.
pub(super) type Id = u32;

/// A stretch of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    start: u32,
    end: u32,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    /// `None`.
    None,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(Text),
    /// Something without parts that no tensor needs: a truth value, a float, bytes, a large number.
    Plain,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dict, in the order in which its keys were set.
    Dict(Vec<(Id, Id)>),
    /// The name of a class or function.
    Global {
        /// Its module.
        module: Text,
        /// Its name there.
        name: Text,
    },
    /// A storage of the archive.
    Storage(rebuild::StorageRef),
    /// A tensor.
    Tensor(Box<rebuild::TensorRef>),
    /// A call or set: first what is called, if anything, then its parts.
    Other(Vec<Id>),
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    list: Vec<Value>,
    /// Attributes that were set on values which have no place for them.
    pub(super) hidden: Vec<Id>,
}

impl Values<'_> {
    /// A value; ids are made only here, so every one names a value.
    pub(super) fn get(&self, id: Id) -> &Value {
        const NONE: &Value = &Value::None;
        self.list.get(id as usize).unwrap_or(NONE)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A stretch of text. All were checked to be UTF-8.
    pub(super) fn text(&self, text: Text) -> &str {
        let bytes = self.bytes.get(text.start as usize..text.end as usize);
        std::str::from_utf8(bytes.unwrap_or(&[])).unwrap_or("")
    }
}

/// Reads a pickle: all its values, and which is the outermost.
pub(super) fn read(bytes: &[u8]) -> Result<(Values<'_>, Id)> {
    let mut machine = Machine {
        at: 0,
        values: Values {
            bytes,
            list: Vec::new(),
            hidden: Vec::new(),
        },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        kept: 0,
    };
    let outcome = machine.run();
    let at = machine.at;
    match outcome {
        Ok(top) if at == bytes.len() => Ok((machine.values, top)),
        Ok(_) => Err(Refusal::Pickle {
            at,
            problem: "goes on after its end",
        }
        .into()),
        Err(problem) => Err(Refusal::Pickle { at, problem }.into()),
    }
}

/// A step, or why it cannot be taken.
pub(super) type Step<T> = std::result::Result<T, &'static str>;

struct Machine<'a> {
    /// Where the next byte to read is.
    at: usize,
    values: Values<'a>,
    stack: Vec<Id>,
    /// How long the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Values and references so far.
    kept: usize,
}

impl Machine<'_> {
    fn run(&mut self) -> Step<Id> {
        if self.byte()? != 0x80 || !(2..=5).contains(&self.byte()?) {
            return Err("is not of protocol 2 to 5");
        }
        loop {
            match self.byte()? {
                b'.' => break,
                0x95 => {
                    self.take(8)?;
                }
                code => self.step(code)?,
            }
        }
        let top = self.pop()?;
        match self.stack.is_empty() && self.marks.is_empty() {
            true => Ok(top),
            false => Err("ends with values left over"),
        }
    }

    fn step(&mut self, code: u8) -> Step<()> {
        match code {
            // Constants.
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Plain),
            b'K' => self.push_int::<1>(|b| i64::from(b[0])),
            b'M' => self.push_int(|b| i64::from(u16::from_le_bytes(b))),
            b'J' => self.push_int(|b| i64::from(i32::from_le_bytes(b))),
            0x8a => {
                let len = usize::from(self.byte()?);
                self.push_long(len)
            }
            0x8b => {
                let len = self.length::<4>()?;
                self.push_long(len)
            }
            b'G' => self.push_plain(8),
            // Text and bytes.
            b'X' => {
                let len = self.length::<4>()?;
                self.push_text(len)
            }
            0x8c => {
                let len = self.length::<1>()?;
                self.push_text(len)
            }
            0x8d => {
                let len = self.length::<8>()?;
                self.push_text(len)
            }
            b'C' | b'U' => {
                let len = self.length::<1>()?;
                self.push_plain(len)
            }
            b'B' | b'T' => {
                let len = self.length::<4>()?;
                self.push_plain(len)
            }
            0x8e | 0x96 => {
                let len = self.length::<8>()?;
                self.push_plain(len)
            }
            // The stack and the memo.
            b'(' => {
                self.marks.push(self.stack.len());
                self.limit(self.marks.len() <= MAX_STACK)
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            b'q' => {
                let key = u32::from(self.byte()?);
                self.put(key)
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.put(key)
            }
            0x94 => {
                let key = self.memo.len() as u32;
                self.put(key)
            }
            b'h' => {
                let key = u32::from(self.byte()?);
                self.fetch(key)
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.fetch(key)
            }
            // Containers.
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x8f => self.push(Value::Other(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items))
            }
            0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::Other(items))
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.set_items(items)
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(items)
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)
            }
            // Names and calls.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global { module, name })
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.values.get(module), self.values.get(name)) {
                    (&Value::Text(module), &Value::Text(name)) => {
                        self.push(Value::Global { module, name })
                    }
                    _ => Err("names a global by something other than text"),
                }
            }
            b'R' => {
                let (args, what) = (self.pop()?, self.pop()?);
                self.call(what, args)
            }
            0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.push(Value::Other(vec![class, args]))
            }
            0x92 => {
                let parts = self.pop_many(3)?;
                self.push(Value::Other(parts))
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = rebuild::storage(&self.values, id)?;
                self.push(Value::Storage(storage))
            }
            _ => Err("has an instruction that checkpoints do not have"),
        }
    }

    /// Keeps a call as a value: what is known as what it makes, all else as its parts.
    fn call(&mut self, what: Id, args: Id) -> Step<()> {
        match rebuild::call(&self.values, what, args)? {
            rebuild::Made::Value(value) => self.push(value),
            rebuild::Made::Existing(id) => self.push_id(id),
            rebuild::Made::Unknown => self.push(Value::Other(vec![what, args])),
        }
    }

    fn build(&mut self, state: Id) -> Step<()> {
        self.keep(1)?;
        let top = self.top()?;
        match self.values.list.get_mut(top as usize) {
            Some(Value::Other(parts)) => parts.push(state),
            _ => self.values.hidden.push(state),
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Step<()> {
        self.keep(items.len())?;
        let top = self.top()?;
        match self.values.list.get_mut(top as usize) {
            Some(Value::List(list) | Value::Other(list)) => list.extend(items),
            _ => return Err("appends to something other than a list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Id>) -> Step<()> {
        self.keep(items.len())?;
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() {
            return Err("sets a key without a value");
        }
        let top = self.top()?;
        match self.values.list.get_mut(top as usize) {
            Some(Value::Dict(dict)) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Some(Value::Other(parts)) => parts.extend(items),
            _ => return Err("sets items of something other than a dict"),
        }
        Ok(())
    }

    fn limit(&self, within: bool) -> Step<()> {
        match within {
            true => Ok(()),
            false => Err("has more values than are read"),
        }
    }

    fn keep(&mut self, more: usize) -> Step<()> {
        self.kept += more;
        self.limit(self.kept <= MAX_KEPT)
    }

    fn push(&mut self, value: Value) -> Step<()> {
        let parts = match &value {
            Value::Tuple(items) | Value::List(items) | Value::Other(items) => items.len(),
            Value::Dict(items) => items.len() * 2,
            Value::Tensor(tensor) => tensor.shape.len() * 2,
            _ => 0,
        };
        // A value weighs as much as a few references.
        self.keep(4 + parts)?;
        let id = self.values.list.len() as Id;
        self.values.list.push(value);
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Step<()> {
        self.stack.push(id);
        self.limit(self.stack.len() <= MAX_STACK)
    }

    /// The values on the stack that may be taken: those above the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err("takes a value where there is none"),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, number: usize) -> Step<Vec<Id>> {
        let from = self.stack.len().checked_sub(number);
        match from {
            Some(from) if from >= self.floor() => Ok(self.stack.split_off(from)),
            _ => Err("takes a value where there is none"),
        }
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("takes a mark where there is none")?;
        Ok(self.stack.split_off(mark))
    }

    fn put(&mut self, key: u32) -> Step<()> {
        self.keep(1)?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn fetch(&mut self, key: u32) -> Step<()> {
        let id = self.memo.get(&key).copied();
        self.push_id(id.ok_or("refers to a value that it has not kept")?)
    }

    fn take(&mut self, len: usize) -> Step<&[u8]> {
        let end = self.at.checked_add(len).ok_or("is cut off")?;
        let taken = self.values.bytes.get(self.at..end).ok_or("is cut off")?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Step<u8> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "is cut off")
    }

    /// A length of N bytes; whether there is so much left is seen when it is taken.
    fn length<const N: usize>(&mut self) -> Step<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "is cut off")
    }

    fn push_int<const N: usize>(&mut self, read: fn([u8; N]) -> i64) -> Step<()> {
        let value = read(self.array()?);
        self.push(Value::Int(value))
    }

    fn push_long(&mut self, len: usize) -> Step<()> {
        let bytes = self.take(len)?;
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        match wide.get_mut(..len) {
            Some(low) => {
                low.copy_from_slice(bytes);
                self.push(Value::Int(i64::from_le_bytes(wide)))
            }
            None => self.push(Value::Plain),
        }
    }

    fn push_plain(&mut self, len: usize) -> Step<()> {
        self.take(len)?;
        self.push(Value::Plain)
    }

    fn push_text(&mut self, len: usize) -> Step<()> {
        let text = self.text(len)?;
        self.push(Value::Text(text))
    }

    fn text(&mut self, len: usize) -> Step<Text> {
        let start = self.at;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| "has text that is not UTF-8")?;
        // Pickles are far shorter than 4 GiB.
        Ok(Text {
            start: start as u32,
            end: self.at as u32,
        })
    }

    /// A line of text, without its end.
    fn line(&mut self) -> Step<Text> {
        let rest = self.values.bytes.get(self.at..).unwrap_or(&[]);
        let len = rest.iter().position(|c| *c == b'\n').ok_or("is cut off")?;
        let text = self.text(len)?;
        self.take(1)?;
        Ok(text)
    }
}
