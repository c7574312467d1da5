//! Blocks of quantised numbers: taken apart by what their item says of them, alone and against a version before.

use super::*;
use crate::base::Quant;
use crate::store::codec::measure::quantised::quantised;
use crate::store::record::{Body, Record};

/// The number of the codec that takes blocks apart.
const FIELDS: u8 = 7;

/// Weights, and what a fine-tune of most of them makes of them.
fn versions(quant: Quant, count: usize) -> [Vec<u8>; 2] {
    let mut state = 7u32;
    let mut normal = move || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            sum += (state >> 8) as f32 / (1 << 24) as f32;
        }
        sum
    };
    let first: Vec<f32> = (0..count).map(|_| normal() * 0.02).collect();
    let second: Vec<f32> = first.iter().map(|x| x + normal() * 3e-4).collect();
    [first, second].map(|numbers| {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        quantised(quant, &bytes)
    })
}

fn put_blocks(store: &Store, bytes: &Vec<u8>, quant: Quant, base: Option<&Vec<u8>>) -> Put {
    let mut writer = store.writer().expect("a writer");
    let candidate = |base: &Vec<u8>| Candidate {
        id: ObjectId::of(base),
        version: 0,
    };
    let item = PutItem {
        bases: base.map(candidate).into_iter().collect(),
        fields: Some(quant.fields()),
        ..item(bytes, Element::number(1, false))
    };
    let puts = writer.put_all(&[item], &Silent).expect("put");
    writer.finish().expect("published");
    puts[0].clone()
}

fn record(store: &Store, bytes: &[u8]) -> Record {
    let object = store.object(&ObjectId::of(bytes)).expect("there");
    object.record().clone()
}

fn codecs(record: &Record) -> Vec<u8> {
    match &record.body {
        Body::Chunks(chunks) => chunks.iter().map(|chunk| chunk.codec).collect(),
        Body::Parts(_) => Vec::new(),
    }
}

#[test]
fn a_version_costs_a_fraction_of_its_blocks() {
    for (quant, parts) in [(Quant::Q8_0, 3), (Quant::Q4K, 6)] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        // Chunks begin inside of blocks.
        let [first, second] = versions(quant, 3 << 20);
        assert!(first.len() > CHUNK && !CHUNK.is_multiple_of(quant.block().bytes as usize));
        let alone = put_blocks(&store, &first, quant, None).written as usize;
        assert!(alone * 100 < first.len() * 97, "{alone} of {}", first.len());
        let delta = put_blocks(&store, &second, quant, Some(&first)).written as usize;
        assert!(delta * parts < second.len(), "{delta} of {}", second.len());
        let record = record(&store, &second);
        assert_eq!(record.bases, [ObjectId::of(&first)]);
        assert!(codecs(&record).iter().all(|codec| *codec == FIELDS));
        let object = store.object(&ObjectId::of(&second)).expect("there");
        assert_eq!(object.fields(), Some(quant.fields()));
        holds(&sandbox.store(), &[first, second]);
    }
}

#[test]
fn a_quantisation_of_stored_floats_costs_next_to_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let floats = weights(12 << 20, 3);
    put(&store, std::slice::from_ref(&floats), F32).expect("put");
    let quants = quantised(Quant::Q8_0, &floats);
    assert!(quants.len() > 3 * CHUNK);
    let written = put_blocks(&store, &quants, Quant::Q8_0, Some(&floats)).written as usize;
    assert!(
        written * 100 < quants.len(),
        "{written} of {}",
        quants.len()
    );
    assert_eq!(record(&store, &quants).bases, [ObjectId::of(&floats)]);
    holds(&sandbox.store(), &[floats, quants]);
}

#[test]
fn what_is_no_relative_is_no_base() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let [first, _] = versions(Quant::Q4_0, 1 << 18);
    let [other, _] = versions(Quant::Q8_0, 1 << 18);
    put_blocks(&store, &other, Quant::Q8_0, None);
    put_blocks(&store, &first, Quant::Q4_0, Some(&other));
    let record = record(&store, &first);
    assert_eq!(
        (record.bases.as_slice(), codecs(&record)),
        ([].as_slice(), vec![FIELDS])
    );
    holds(&sandbox.store(), &[first, other]);
}

#[test]
fn fields_that_lose_bits_are_not_used() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let [first, _] = versions(Quant::Q8_0, 1 << 16);
    let mut fields = Quant::Q8_0.fields();
    fields.fields.pop();
    let mut writer = store.writer().expect("a writer");
    let item = PutItem {
        fields: Some(fields),
        ..item(&first, Element::number(1, false))
    };
    writer.put_all(&[item], &Silent).expect("put");
    writer.finish().expect("published");
    assert!(!codecs(&record(&store, &first)).contains(&FIELDS));
    holds(&sandbox.store(), &[first]);
}
