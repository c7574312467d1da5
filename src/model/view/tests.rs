//! Views against the plainest way to gather one, and how much is read for them.

use super::*;
use proptest::prelude::*;

/// The same, element by element.
fn plainly(source: &[u8], offset: usize, shape: &[u64], strides: &[u64]) -> Vec<u8> {
    let elements: u64 = shape.iter().product();
    let mut out = Vec::new();
    for element in 0..elements {
        let mut rest = element;
        let mut at = 0;
        for (side, stride) in shape.iter().zip(strides).rev() {
            at += rest % side * stride;
            rest /= side;
        }
        let at = offset + at as usize * 2;
        out.extend_from_slice(&source[at..at + 2]);
    }
    out
}

proptest! {
    #[test]
    fn any_part_of_any_view_is_gathered(
        sides in prop::collection::vec((0u64..6, 0u64..40), 1..5),
        offset in 0usize..9,
        ends in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let (shape, strides): (Vec<u64>, Vec<u64>) = sides.into_iter().unzip();
        let source: Vec<u8> = (0..2000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let view = Strided::new(offset as u64, &Dtype::I16, &shape, &strides).expect("small");
        prop_assume!(view.end() <= 2000);
        let expected = plainly(&source, offset, &shape, &strides);
        let bytes = view.of(&source, 0);
        prop_assert_eq!(bytes.id(&Silent).expect("in memory"), ObjectId::of(&expected));
        let from = (ends.0 * expected.len() as f64) as usize;
        let to = from + (ends.1 * (expected.len() - from) as f64) as usize;
        let mut part = vec![0; to - from];
        bytes.read_exact_at(&mut part, from as u64).expect("inside");
        prop_assert_eq!(&part, &expected[from..to]);
        let normal = normal(&shape, &strides);
        let again = Strided::new(offset as u64, &Dtype::I16, &shape, &normal).expect("small");
        prop_assert_eq!(again.of(&source, 0).id(&Silent).expect("in memory"), ObjectId::of(&expected));
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let new =
        |offset, shape: &[u64], strides: &[u64]| Strided::new(offset, &Dtype::F32, shape, strides);
    assert_eq!(new(0, &[u64::MAX, 2], &[1, 1]), None);
    assert_eq!(new(0, &[2, 2], &[u64::MAX, 1]), None);
    assert_eq!(new(u64::MAX, &[1], &[]), None);
    assert_eq!(new(0, &[2, 2], &[1]), None);
    assert!(new(8, &[], &[]).is_some_and(|scalar| scalar.end() == 12));
}

#[test]
fn a_shape_in_order_needs_no_strides() {
    assert_eq!(normal(&[3, 1, 4], &[4, 99, 1]), Vec::<u64>::new());
    assert_eq!(normal(&[3, 1, 4], &[1, 99, 3]), vec![1, 1, 3]);
    assert_eq!(normal(&[0, 4], &[7, 7]), Vec::<u64>::new());
}

/// Bytes by their place, of which there may be more than fit into memory; counts those that are read.
#[derive(Default)]
struct Counted(std::sync::atomic::AtomicU64);

fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

impl ReadAt for Counted {
    fn len(&self) -> u64 {
        1 << 40
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let order = std::sync::atomic::Ordering::Relaxed;
        self.0.fetch_add(buffer.len() as u64, order);
        let bytes = buffer.iter_mut().zip(offset..);
        bytes.for_each(|(to, at)| *to = byte(at));
        Ok(())
    }
}

#[test]
fn what_is_read_is_bounded_by_what_is_shown() {
    let pairs = |number: u64, from: u64| (0..number).map(|i| from + i).collect::<Vec<_>>();
    let cases = [
        // Further apart than a page, and so far that nothing is worth holding.
        pairs(12, 2_000_000),
        // Runs shorter than a page.
        pairs(12, 100_000),
        // Runs that lie near each other, in pairs that do not.
        [pairs(10, 3_000_000), vec![5000, 1]].concat(),
        vec![200_000],
    ];
    for strides in cases {
        let shape = vec![2; strides.len()];
        let view = Strided::new(3, &Dtype::U8, &shape, &strides).expect("small");
        let source = Counted::default();
        let id = view.of(&source, 7).id(&Silent).expect("in memory");
        let places = (0..view.elements).map(|i| view.element_offset(i) + 3 + 7);
        let expected: Vec<u8> = places.map(byte).collect();
        assert_eq!(id, ObjectId::of(&expected));
        let read = source.0.into_inner();
        let most = 2 * APART * view.elements;
        assert!(read <= most, "{strides:?}: {read} bytes, not {most}");
    }
}

#[test]
fn who_waits_can_stop() {
    struct Stop;
    impl Progress for Stop {
        fn begin(&self, _: &str, _: crate::base::progress::Unit, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn end(&self) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let view = Strided::new(0, &Dtype::U8, &[9, 9], &[100_000, 7]).expect("small");
    let stopped = view.of(&Counted::default(), 0).id(&Stop);
    let error = stopped.expect_err("nobody wants it");
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
}
