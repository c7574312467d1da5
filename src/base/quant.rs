//! Numbers that are quantised in blocks, as ggml defines them (<https://github.com/ggml-org/ggml>).

mod fields;

/// So many elements in a row, and the bytes that they share: the unit that repeats in the bytes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many elements.
    pub values: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A quantised type: small integers, and for each block what they are multiplied with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are ggml's, and all there is to say")]
pub enum Quant {
    Q1_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Q8K,
    Iq1S,
    Iq1M,
    Iq2Xxs,
    Iq2Xs,
    Iq2S,
    Iq3Xxs,
    Iq3S,
    Iq4Nl,
    Iq4Xs,
    Tq1_0,
    Tq2_0,
    Mxfp4,
    Nvfp4,
}

impl Quant {
    /// Every type with its name, the elements of a block, and its bytes.
    pub const ALL: [(Quant, &'static str, u64, u64); 26] = [
        (Quant::Q1_0, "Q1_0", 128, 18),
        (Quant::Q4_0, "Q4_0", 32, 18),
        (Quant::Q4_1, "Q4_1", 32, 20),
        (Quant::Q5_0, "Q5_0", 32, 22),
        (Quant::Q5_1, "Q5_1", 32, 24),
        (Quant::Q8_0, "Q8_0", 32, 34),
        (Quant::Q8_1, "Q8_1", 32, 36),
        (Quant::Q2K, "Q2_K", 256, 84),
        (Quant::Q3K, "Q3_K", 256, 110),
        (Quant::Q4K, "Q4_K", 256, 144),
        (Quant::Q5K, "Q5_K", 256, 176),
        (Quant::Q6K, "Q6_K", 256, 210),
        (Quant::Q8K, "Q8_K", 256, 292),
        (Quant::Iq1S, "IQ1_S", 256, 50),
        (Quant::Iq1M, "IQ1_M", 256, 56),
        (Quant::Iq2Xxs, "IQ2_XXS", 256, 66),
        (Quant::Iq2Xs, "IQ2_XS", 256, 74),
        (Quant::Iq2S, "IQ2_S", 256, 82),
        (Quant::Iq3Xxs, "IQ3_XXS", 256, 98),
        (Quant::Iq3S, "IQ3_S", 256, 110),
        (Quant::Iq4Nl, "IQ4_NL", 32, 18),
        (Quant::Iq4Xs, "IQ4_XS", 256, 136),
        (Quant::Tq1_0, "TQ1_0", 256, 54),
        (Quant::Tq2_0, "TQ2_0", 256, 66),
        (Quant::Mxfp4, "MXFP4", 32, 17),
        (Quant::Nvfp4, "NVFP4", 64, 36),
    ];

    /// The type of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known, ..)| *known == name)
            .map(|(quant, ..)| *quant)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let (_, name, ..) = self.row();
        name
    }

    /// Its block.
    pub fn block(self) -> Block {
        let (_, _, values, bytes) = self.row();
        Block { values, bytes }
    }

    fn row(self) -> (Quant, &'static str, u64, u64) {
        let row = Self::ALL.iter().find(|(quant, ..)| *quant == self);
        *row.expect("every type has a row, as a test says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_row_and_blocks_of_a_power_of_two() {
        for (at, (quant, name, values, bytes)) in Quant::ALL.into_iter().enumerate() {
            assert_eq!(at, quant as usize, "{name}");
            assert_eq!(Quant::parse(name), Some(quant));
            assert_eq!(
                (quant.name(), quant.block()),
                (name, Block { values, bytes })
            );
            assert!(values.is_power_of_two() && values <= 256, "{name}");
        }
        assert_eq!(Quant::ALL.len(), Quant::Nvfp4 as usize + 1);
        assert_eq!(Quant::parse("q4_0"), None);
    }
}
