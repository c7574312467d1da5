//! What the blocks of each type are made of.

use super::Quant;
use crate::base::fields::{Field, Fields, Kind, Offset, Slice};

impl Quant {
    /// What a block is made of. Where the layout of a type needs a table of thousands of values, or is not worked out,
    /// its fields are bytes of which no more is known.
    pub fn fields(self) -> Fields {
        let (four, five, eight) = (Kind::Unsigned(8), Kind::Unsigned(16), Kind::Unsigned(0));
        let fields = match self {
            Self::Q1_0 => vec![f16(0), bytes(2, 16)],
            Self::Q4_0 => vec![f16(0), ints(four, [nibbles(2, 16)]).times([0])],
            Self::Q4_1 => {
                let numbers = ints(eight, [nibbles(4, 16)]);
                vec![f16(0), f16(2), numbers.times([0]).plus([1])]
            }
            Self::Q5_0 => {
                let numbers = ints(five, [nibbles(6, 16), bits(2, 1, 4, 4)]);
                vec![f16(0), numbers.times([0])]
            }
            Self::Q5_1 => {
                let numbers = ints(eight, [nibbles(8, 16), bits(4, 1, 4, 4)]);
                vec![f16(0), f16(2), numbers.times([0]).plus([1])]
            }
            Self::Q8_0 => vec![f16(0), signed(2, 32).times([0])],
            Self::Q8_1 => vec![f16(0), f16(2), signed(4, 32).times([0])],
            Self::Q2K => {
                let scales = ints(eight, [slice(0, 4, 0, 16, 1)]);
                let offsets = ints(eight, [slice(0, 4, 4, 16, 1)]);
                let numbers = ints(eight, [pairs(16, 0)]).times([0, 2]);
                vec![
                    f16(80),
                    f16(82),
                    scales.times([0]),
                    offsets.times([1]),
                    numbers.minus([1, 3]),
                ]
            }
            Self::Q3K => {
                let scales = [
                    Slice {
                        steps: 2,
                        ..slice(96, 4, 0, 8, 1)
                    },
                    Slice {
                        at: 4,
                        steps: 4,
                        ..slice(104, 2, 0, 4, 1)
                    },
                ];
                let numbers = [pairs(32, 0), bits(0, 32, 1, 2)];
                vec![
                    f16(108),
                    ints(Kind::Unsigned(32), scales).times([0]),
                    ints(Kind::Unsigned(4), numbers).times([0, 1]),
                ]
            }
            Self::Q4K => k(&[Slice {
                groups: 4,
                ..nibbles(16, 32)
            }]),
            Self::Q5K => k(&[
                Slice {
                    groups: 4,
                    ..nibbles(48, 32)
                },
                bits(16, 32, 1, 4),
            ]),
            Self::Q6K => {
                let low = Slice {
                    groups: 2,
                    ..nibbles(0, 64)
                };
                let numbers = ints(Kind::Unsigned(32), [low, pairs(128, 4)]);
                vec![f16(208), signed(192, 16).times([0]), numbers.times([0, 1])]
            }
            Self::Q8K => vec![
                float(Kind::F32, 0),
                bytes(260, 32),
                signed(4, 256).times([0]),
            ],
            Self::Iq4Nl => vec![f16(0), ints(eight, [nibbles(2, 16)])],
            Self::Iq4Xs => {
                let scales = [
                    Slice {
                        steps: 2,
                        groups: 4,
                        ..slice(4, 4, 0, 1, 1)
                    },
                    Slice {
                        at: 4,
                        steps: 4,
                        groups: 2,
                        ..slice(2, 2, 0, 1, 1)
                    },
                ];
                let numbers = Slice {
                    groups: 8,
                    ..nibbles(8, 16)
                };
                vec![
                    f16(0),
                    ints(Kind::Unsigned(32), scales).times([0]),
                    ints(eight, [numbers]),
                ]
            }
            Self::Tq1_0 => vec![f16(52), bytes(0, 52)],
            Self::Tq2_0 => vec![f16(64), ints(Kind::Unsigned(1), [pairs(0, 0)]).times([0])],
            Self::Mxfp4 => vec![bytes(0, 1), ints(eight, [nibbles(1, 16)])],
            Self::Nvfp4 => {
                let numbers = Slice {
                    groups: 4,
                    ..nibbles(4, 8)
                };
                vec![bytes(0, 4), ints(eight, [numbers])]
            }
            Self::Iq1M => vec![bytes(0, 56)],
            Self::Iq1S | Self::Iq2Xxs | Self::Iq2Xs | Self::Iq2S | Self::Iq3Xxs | Self::Iq3S => {
                vec![f16(0), bytes(2, self.block().bytes as u16 - 2)]
            }
        };
        Fields {
            bytes: self.block().bytes as u16,
            fields,
        }
    }
}

/// Factor and offset of the block, and of each part of 32 a factor and an offset of 6 bits.
fn k(numbers: &[Slice]) -> Vec<Field> {
    let six = |own: u16, low: u8| {
        let below = slice(own, 6, 0, 4, 1);
        let lower = Slice {
            first: 4,
            ..slice(12, 4, low, 4, 1)
        };
        let upper = Slice {
            first: 4,
            at: 4,
            ..slice(own, 2, 6, 4, 1)
        };
        ints(Kind::Unsigned(0), [below, lower, upper])
    };
    let numbers = field(Kind::Unsigned(0), 256, numbers.to_vec());
    vec![
        f16(0),
        f16(2),
        six(4, 0).times([0]),
        six(8, 4).times([1]),
        numbers.times([0, 2]).minus([1, 3]),
    ]
}

fn slice(byte: u16, bits: u8, shift: u8, run: u16, groups: u8) -> Slice {
    Slice {
        first: 0,
        at: 0,
        bits,
        byte,
        shift,
        run,
        steps: 1,
        groups,
    }
}

/// Four bits each, the low halves of `run` bytes before the high ones.
fn nibbles(byte: u16, run: u16) -> Slice {
    Slice {
        steps: 2,
        ..slice(byte, 4, 0, run, 1)
    }
}

/// Two bits each, spread over all bytes of their half.
fn pairs(byte: u16, at: u8) -> Slice {
    Slice {
        at,
        steps: 4,
        ..slice(byte, 2, 0, 32, 2)
    }
}

/// The topmost bit of each number, eight in a byte.
fn bits(byte: u16, run: u16, groups: u8, at: u8) -> Slice {
    Slice {
        at,
        steps: 8,
        ..slice(byte, 1, 0, run, groups)
    }
}

fn field(kind: Kind, count: u16, slices: Vec<Slice>) -> Field {
    Field {
        kind,
        count,
        scales: Vec::new(),
        offset: Offset::None,
        slices,
    }
}

fn float(kind: Kind, byte: u16) -> Field {
    let bytes = slice(byte, 8, 0, kind.width() as u16, 1);
    field(kind, 1, vec![bytes])
}

fn f16(byte: u16) -> Field {
    float(Kind::F16, byte)
}

fn ints<const N: usize>(kind: Kind, slices: [Slice; N]) -> Field {
    let ends = slices
        .iter()
        .map(|slice| usize::from(slice.first) + slice.units());
    field(kind, ends.max().unwrap_or_default() as u16, slices.to_vec())
}

fn bytes(byte: u16, count: u16) -> Field {
    ints(Kind::Unsigned(0), [slice(byte, 8, 0, count, 1)])
}

fn signed(byte: u16, count: u16) -> Field {
    ints(Kind::Signed, [slice(byte, 8, 0, count, 1)])
}

impl Field {
    fn times<const N: usize>(mut self, scales: [u8; N]) -> Self {
        self.scales = scales.to_vec();
        self
    }

    fn plus<const N: usize>(mut self, fields: [u8; N]) -> Self {
        self.offset = Offset::Plus(fields.to_vec());
        self
    }

    fn minus<const N: usize>(mut self, fields: [u8; N]) -> Self {
        self.offset = Offset::Minus(fields.to_vec());
        self
    }
}
