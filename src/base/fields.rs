//! What a block of quantised numbers is made of: plain data, by which the store takes blocks apart and puts them
//! together again without a table of types.

/// The fields of a block, each after those that it is multiplied with.
///
/// Every bit of the block belongs to one field. Where the last field has as many numbers as a block has values, these
/// stand for the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Bytes of a block.
    pub bytes: u16,
    /// What they are.
    pub fields: Vec<Field>,
}

/// Numbers of one kind in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// How its numbers are read.
    pub kind: Kind,
    /// How many there are.
    pub count: u16,
    /// The fields whose product one unit of these numbers is, by their places in the list; none where nothing is
    /// known. A field of fewer numbers has each of them for as many neighbours as it takes.
    pub scales: Vec<u8>,
    /// What is added to the product of number and scales.
    pub offset: Offset,
    /// Where their bits are.
    pub slices: Vec<Slice>,
}

/// How the numbers of a field are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Integers of up to eight bits, which stand for what they are less this.
    Unsigned(u8),
    /// Two's complement bytes.
    Signed,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
}

/// What is added to scaled numbers: the product of other fields, or its negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offset {
    /// Nothing.
    None,
    /// The product.
    Plus(Vec<u8>),
    /// Its negative.
    Minus(Vec<u8>),
}

/// Some bits of numbers that follow each other: `groups` times, the lowest bits of `run` bytes, then the bits above
/// them of the same bytes, `steps` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The first number. Of floats, each byte counts.
    pub first: u16,
    /// At which bit of the number they are put.
    pub at: u8,
    /// How many bits.
    pub bits: u8,
    /// The first byte in the block.
    pub byte: u16,
    /// The first bit in the byte.
    pub shift: u8,
    /// See [`Slice`].
    pub run: u16,
    /// See [`Slice`].
    pub steps: u8,
    /// See [`Slice`].
    pub groups: u8,
}

impl Kind {
    /// Bytes of a number when it is on its own.
    pub fn width(self) -> usize {
        match self {
            Self::Unsigned(_) | Self::Signed => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// True for floats.
    pub fn is_float(self) -> bool {
        match self {
            Self::Unsigned(_) | Self::Signed => false,
            Self::F16 | Self::F32 => true,
        }
    }
}

impl Field {
    /// Bytes of all its numbers when they are on their own.
    pub fn units(&self) -> usize {
        usize::from(self.count) * self.kind.width()
    }
}

impl Offset {
    /// The fields of the product.
    pub fn fields(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Plus(fields) | Self::Minus(fields) => fields,
        }
    }
}

impl Slice {
    /// How many numbers it has bits of.
    pub fn units(&self) -> usize {
        usize::from(self.run) * usize::from(self.steps) * usize::from(self.groups)
    }
}
