//! The vector files: how they look, who makes them, and the two tests that hold them.
//!
//! To write them anew after the format changed on purpose:
//! `COUNTERSIGN_UPDATE_VECTORS=1 cargo test --test it the_committed_vectors`.

use std::{fs, path::PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// One vector. `error` is part of what our decoder says; other decoders only have to refuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    id: String,
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What else the decoder is told: a key, a time.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    given: Json,
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoded: Option<Json>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorFile {
    about: String,
    vectors: Vec<Vector>,
}

/// Reads a vector's input and says what it found, or why it was refused.
type Decoder = fn(&Vector) -> Result<Json, String>;

/// Collects the vectors of one file.
pub(crate) struct Vectors {
    decoder: Decoder,
    list: Vec<Vector>,
}

struct Source {
    file: &'static str,
    about: &'static str,
    make: fn(&mut Vectors),
    decoder: Decoder,
}

const SOURCES: [Source; 13] = [
    Source {
        file: "cbor",
        about: "SPEC.md section 1: deterministic CBOR, at most 4096 bytes",
        make: super::shapes::make,
        decoder: super::shapes::decode,
    },
    Source {
        file: "digest",
        about: "SPEC.md sections 2, 8 and 9: digests and what is derived from them",
        make: super::digests::make,
        decoder: super::digests::decode,
    },
    Source {
        file: "signature",
        about: "SPEC.md section 2: signatures outside of COSE; bytes is the message",
        make: super::signatures::make,
        decoder: super::signatures::decode,
    },
    Source {
        file: "envelope",
        about: "SPEC.md sections 3 and 4: envelopes",
        make: super::envelopes::make,
        decoder: super::envelopes::decode,
    },
    Source {
        file: "countersignature",
        about: "SPEC.md section 5: ok when given.approver countersigned the envelope in bytes",
        make: super::countersignatures::make,
        decoder: super::countersignatures::decode,
    },
    Source {
        file: "receipt",
        about: "SPEC.md section 4: bodies of the kind receipt",
        make: super::receipts::make,
        decoder: super::receipts::decode,
    },
    Source {
        file: "frame",
        about: "SPEC.md section 6: frames of countersign/1, without the length before them",
        make: super::frames::make,
        decoder: super::frames::decode,
    },
    Source {
        file: "pair",
        about: "SPEC.md section 7: frames of countersign/pair/1, without the length before them",
        make: super::pairs::make,
        decoder: super::pairs::decode,
    },
    Source {
        file: "consent",
        about: "SPEC.md section 8: consent records",
        make: super::consents::make,
        decoder: super::consents::decode,
    },
    Source {
        file: "invite",
        about: "SPEC.md section 9: invites, read at the time given.now",
        make: super::invites::make,
        decoder: super::invites::decode,
    },
    Source {
        file: "grant",
        about: "SPEC.md section 15: grants, signed by given.approver with given.signature",
        make: super::grants::make,
        decoder: super::grants::decode,
    },
    Source {
        file: "order",
        about: "SPEC.md section 16: orders, signed by given.approver with given.signature",
        make: super::orders::make,
        decoder: super::orders::decode,
    },
    Source {
        file: "code",
        about: "SPEC.md section 17: short codes, their frames without the length before them, and an \
                exchange",
        make: super::codes::make,
        decoder: super::codes::decode,
    },
];

impl Vector {
    pub(crate) fn input(&self) -> Vec<u8> {
        unpacked(self.bytes.as_deref().expect("this file's vectors hold bytes"))
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().expect("this file's vectors hold a text")
    }

    pub(crate) fn given(&self, key: &str) -> &Json {
        &self.given[key]
    }

    pub(crate) fn given_bytes(&self, key: &str) -> Vec<u8> {
        unpacked(self.given[key].as_str().expect("a given in hexadecimal"))
    }
}

impl Vectors {
    /// A vector that must be read.
    pub(crate) fn good(&mut self, id: &str, what: &str, bytes: &[u8]) {
        self.add(id, what, (Some(bytes), None), Json::Null, None);
    }

    /// A vector that must be refused, with words that contain `error`.
    pub(crate) fn bad(&mut self, id: &str, what: &str, bytes: &[u8], error: &str) {
        self.add(id, what, (Some(bytes), None), Json::Null, Some(error));
    }

    /// A vector whose decoder is told more than the bytes.
    pub(crate) fn told(
        &mut self,
        (id, what): (&str, &str),
        bytes: &[u8],
        given: Json,
        error: Option<&str>,
    ) {
        self.add(id, what, (Some(bytes), None), given, error);
    }

    /// A vector that is a text, read at a time.
    pub(crate) fn text(
        &mut self,
        (id, what): (&str, &str),
        text: &str,
        now: u64,
        error: Option<&str>,
    ) {
        self.add(id, what, (None, Some(text)), json!({ "now": now }), error);
    }

    fn add(
        &mut self,
        id: &str,
        what: &str,
        (bytes, text): (Option<&[u8]>, Option<&str>),
        given: Json,
        error: Option<&str>,
    ) {
        assert!(self.list.iter().all(|other| other.id != id), "{id} is there twice");
        let mut vector = Vector {
            id: id.to_owned(),
            what: what.to_owned(),
            bytes: bytes.map(packed),
            text: text.map(str::to_owned),
            given,
            ok: error.is_none(),
            error: error.map(str::to_owned),
            decoded: None,
        };
        vector.decoded = check(self.decoder, &vector);
        self.list.push(vector);
    }
}

/// Holds the decoder to what the vector says; gives what was decoded.
fn check(decoder: Decoder, vector: &Vector) -> Option<Json> {
    match (decoder(vector), &vector.error) {
        (Ok(found), None) => Some(found),
        (Ok(found), Some(error)) => panic!("{}: read {found}, not refused: {error}", vector.id),
        (Err(got), None) => panic!("{}: refused: {got}", vector.id),
        (Err(got), Some(error)) => {
            assert!(got.contains(error.as_str()), "{}: {got:?}, not {error:?}", vector.id);
            None
        }
    }
}

/// Hexadecimal, with a run of 64 or more equal bytes as `(61*65536)`.
pub(crate) fn packed(bytes: &[u8]) -> String {
    let one = |run: &[u8]| match run {
        [first, ..] if run.len() >= 64 => format!("({first:02x}*{})", run.len()),
        run => HEXLOWER.encode(run),
    };
    bytes.chunk_by(|a, b| a == b).map(one).collect()
}

fn unpacked(text: &str) -> Vec<u8> {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).expect("hexadecimal");
    let mut parts = text.split('(');
    let mut bytes = hex(parts.next().unwrap_or_default());
    for part in parts {
        let (run, rest) = part.split_once(')').expect("a run ends with a bracket");
        let (byte, times) = run.split_once('*').expect("a run is byte*times");
        bytes.extend(hex(byte).repeat(times.parse().expect("a number")));
        bytes.extend(hex(rest));
    }
    bytes
}

fn path(source: &Source) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{}.json", source.file))
}

fn committed(source: &Source) -> VectorFile {
    let path = path(source);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The inputs of a committed file's good vectors, for tests that damage them.
pub(crate) fn good_inputs(file: &str) -> Vec<Vec<u8>> {
    let source = SOURCES.iter().find(|source| source.file == file).expect("a vector file");
    let vectors = committed(source).vectors;
    vectors.iter().filter(|vector| vector.ok).map(Vector::input).collect()
}

/// Every input of a committed file, good and bad, as bytes.
pub(crate) fn inputs(file: &str) -> Vec<Vec<u8>> {
    let source = SOURCES.iter().find(|source| source.file == file).expect("a vector file");
    let bytes = |vector: Vector| match &vector.text {
        Some(text) => text.as_bytes().to_vec(),
        None => vector.input(),
    };
    committed(source).vectors.into_iter().map(bytes).collect()
}

#[test]
fn the_committed_vectors_are_what_the_generator_makes() {
    let update = std::env::var_os("COUNTERSIGN_UPDATE_VECTORS").is_some();
    for source in &SOURCES {
        let mut made = Vectors { decoder: source.decoder, list: Vec::new() };
        (source.make)(&mut made);
        let made = VectorFile { about: source.about.to_owned(), vectors: made.list };
        if update {
            let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
            fs::write(path(source), text).unwrap();
        }
        let committed = committed(source);
        for (old, new) in committed.vectors.iter().zip(&made.vectors) {
            assert_eq!(old, new, "{}: the format or its vectors changed", source.file);
        }
        assert_eq!(committed, made, "{}: vectors came or went", source.file);
    }
}

#[test]
fn the_decoders_agree_with_the_committed_vectors() {
    let (mut good, mut bad) = (0, 0);
    for source in &SOURCES {
        for vector in committed(source).vectors {
            assert_eq!(vector.ok, vector.error.is_none(), "{}", vector.id);
            assert_eq!(check(source.decoder, &vector), vector.decoded, "{}", vector.id);
            *if vector.ok { &mut good } else { &mut bad } += 1;
        }
    }
    assert!(good >= 109 && bad >= 580, "{good} good and {bad} bad vectors: some were lost");
}

#[test]
fn runs_of_bytes_are_packed_and_unpacked() {
    for bytes in [vec![], vec![1, 2], [vec![7; 100], vec![8; 63], vec![9; 64]].concat()] {
        assert_eq!(unpacked(&packed(&bytes)), bytes);
    }
}
