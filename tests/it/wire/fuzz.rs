//! The fuzz targets' properties, run here on random bytes and on vectors that were shaken.

#[path = "../../fuzz/properties.rs"]
#[expect(unreachable_pub, reason = "elsewhere it is the library of the fuzz targets")]
pub(crate) mod properties;

use std::{fs, path::Path, sync::LazyLock};

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::vectors::inputs;

/// For each property the vectors that it starts from, but for the few large ones.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let small = |file| inputs(file).into_iter().filter(|bytes| bytes.len() < 5000).collect();
    properties::ALL.iter().map(|(_, file, _)| small(file)).collect()
});

/// One blow to some bytes.
#[derive(Clone, Debug)]
enum Blow {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
    /// Copies a piece to another place.
    Copy(usize, usize, usize),
}

impl Blow {
    fn strike(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        match *self {
            Self::Insert(at, byte) => bytes.insert(at % (bytes.len() + 1), byte),
            _ if bytes.is_empty() => {}
            Self::Set(at, byte) => bytes[at % length] = byte,
            Self::Remove(at) => drop(bytes.remove(at % length)),
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Copy(from, count, to) => {
                let from = from % length;
                let piece = bytes[from..(from + count % 64).min(length)].to_vec();
                let to = to % length;
                bytes.splice(to..to, piece);
            }
        }
    }
}

fn blow() -> impl Strategy<Value = Blow> {
    let at = 0..2000_usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Blow::Set(at, byte)),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Blow::Insert(at, byte)),
        at.clone().prop_map(Blow::Remove),
        at.clone().prop_map(Blow::Cut),
        (at.clone(), at.clone(), at).prop_map(|(from, count, to)| Blow::Copy(from, count, to)),
    ]
}

/// Properties with this many cases, which leave no files behind.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn no_random_bytes_break_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, _, property) in properties::ALL {
            property(&bytes);
        }
        for (_, property) in properties::FURTHER {
            property(&bytes);
        }
    }

    /// Bytes of small arrays, maps and integers, which get further than wholly random ones.
    #[test]
    fn no_bytes_that_look_like_cbor_break_a_decoder(
        bytes in prop::collection::vec(
            prop_oneof![0_u8..0x1c, 0x40_u8..0x48, 0x60_u8..0x68, 0x80_u8..0x86, 0xa0_u8..0xa6],
            0..60,
        ),
    ) {
        for (_, _, property) in properties::ALL {
            property(&bytes);
        }
    }

    #[test]
    fn no_shaken_vector_breaks_a_decoder(
        which in any::<prop::sample::Index>(),
        blows in prop::collection::vec(blow(), 1..6),
    ) {
        for ((_, _, property), seeds) in properties::ALL.iter().zip(SEEDS.iter()) {
            let mut bytes = which.get(seeds).clone();
            for blow in &blows {
                blow.strike(&mut bytes);
            }
            property(&bytes);
        }
    }
}

/// The inputs of a target in one of the folders of `tests/fuzz`: one a line, in hexadecimal digits.
fn inputs_in(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
    let text = fs::read_to_string(file.join(format!("{target}.hex"))).unwrap_or_default();
    text.lines().map(|line| HEXLOWER.decode(line.as_bytes()).expect("hex")).collect()
}

#[test]
fn what_fuzzing_kept_or_found_breaks_no_decoder() {
    let all = properties::ALL.map(|(name, _, property)| (name, property));
    let mut found = 0;
    for (name, property) in all.into_iter().chain(properties::FURTHER) {
        let kept = inputs_in("corpus", name);
        assert!(!kept.is_empty(), "{name} was never fuzzed: tests/fuzz/run.py");
        // What broke the property once.
        let broke = inputs_in("found", name);
        found += broke.len();
        for bytes in kept.iter().chain(&broke) {
            property(bytes);
        }
    }
    assert!(found > 0, "the inputs that broke a property are gone");
}
