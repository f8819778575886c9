//! Deterministic CBOR (RFC 8949 section 4.2): one value, one encoding.
//!
//! Reading refuses whatever is not byte for byte what writing would give. Floats, tags and
//! undefined are not part of the format.

use ciborium::Value;

use super::WireError;
use crate::base::limits;

/// A map with small integer keys, as every record of the format is.
#[derive(Debug, Default)]
pub struct MapBuilder(Vec<(i64, Value)>);

impl MapBuilder {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field. Keys are non-negative and added in rising order.
    #[must_use]
    pub fn put(mut self, key: i64, value: impl Into<Value>) -> Self {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < key), "keys rise");
        self.0.push((key, value.into()));
        self
    }

    /// Adds a field that may be absent.
    #[must_use]
    pub fn put_opt(self, key: i64, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// The map as a value.
    #[must_use]
    pub fn value(self) -> Value {
        Value::Map(self.0.into_iter().map(|(k, v)| (Value::from(k), v)).collect())
    }

    /// The map as bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        encode(&self.value())
    }
}

/// Writes a value. Integers are shortest and lengths definite; maps are written in given order.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory fails only for values that serde cannot represent, and `Value` is none.
    ciborium::into_writer(value, &mut bytes).ok();
    bytes
}

/// Reads one value that fills `bytes` and is in deterministic encoding.
///
/// # Errors
/// Not CBOR, trailing bytes, not deterministic, or over `bytes_max`.
pub fn decode(what: &'static str, bytes: &[u8], bytes_max: usize) -> Result<Value, WireError> {
    if bytes.len() > bytes_max {
        return Err(WireError::TooLarge { what, size: bytes.len(), limit: bytes_max });
    }
    let mut rest = bytes;
    let value: Value =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, limits::CBOR_DEPTH_MAX)
            .map_err(|e| WireError::Cbor(e.to_string()))?;
    if !rest.is_empty() {
        return Err(WireError::NotDeterministic("bytes after the end"));
    }
    check(&value)?;
    if encode(&value) != bytes {
        return Err(WireError::NotDeterministic("not the shortest form"));
    }
    Ok(value)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "ciborium's Value may grow; new kinds are refused"
)]
fn check(value: &Value) -> Result<(), WireError> {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) | Value::Null => {
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Map(pairs) => {
            let keys: Vec<Vec<u8>> = pairs.iter().map(|(key, _)| encode(key)).collect();
            if !keys.is_sorted_by(|a, b| a < b) {
                return Err(WireError::NotDeterministic("map keys out of order or doubled"));
            }
            pairs.iter().try_for_each(|(key, value)| check(key).and_then(|()| check(value)))
        }
        _ => Err(WireError::NotDeterministic("floats, tags and undefined are not used")),
    }
}

/// Takes a map apart, field by field; what is left over is an error.
#[derive(Debug)]
pub struct Fields {
    what: &'static str,
    pairs: Vec<(Value, Value)>,
}

impl Fields {
    /// Opens a map.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(what: &'static str, value: Value) -> Result<Self, WireError> {
        let pairs = value.into_map().map_err(|_| WireError::field(what, "is not a map"))?;
        Ok(Self { what, pairs })
    }

    /// Opens a map in encoded bytes.
    ///
    /// # Errors
    /// As [`decode`], or when it is no map.
    pub fn read(what: &'static str, bytes: &[u8], bytes_max: usize) -> Result<Self, WireError> {
        Self::of(what, decode(what, bytes, bytes_max)?)
    }

    /// Takes a field that may be absent.
    pub fn take(&mut self, key: i64) -> Option<Value> {
        let key = Value::from(key);
        let at = self.pairs.iter().position(|(k, _)| *k == key)?;
        Some(self.pairs.remove(at).1)
    }

    /// Takes a field.
    ///
    /// # Errors
    /// When it is missing.
    pub fn need(&mut self, key: i64, field: &'static str) -> Result<Value, WireError> {
        self.take(key).ok_or(WireError::field(field, "is missing"))
    }

    /// Takes an unsigned integer.
    ///
    /// # Errors
    /// When it is missing or none.
    pub fn uint(&mut self, key: i64, field: &'static str) -> Result<u64, WireError> {
        uint(field, &self.need(key, field)?)
    }

    /// Takes a text of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it is missing, none or longer.
    pub fn text(
        &mut self,
        key: i64,
        field: &'static str,
        bytes_max: usize,
    ) -> Result<String, WireError> {
        text(field, self.need(key, field)?, bytes_max)
    }

    /// Takes a byte string.
    ///
    /// # Errors
    /// When it is missing or none.
    pub fn bytes(&mut self, key: i64, field: &'static str) -> Result<Vec<u8>, WireError> {
        bytes(field, self.need(key, field)?)
    }

    /// Takes an id of fixed length, read by `from`.
    ///
    /// # Errors
    /// When it is missing, none, or of another length.
    pub fn id<T>(
        &mut self,
        key: i64,
        field: &'static str,
        from: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, WireError> {
        let bytes = self.bytes(key, field)?;
        from(&bytes).ok_or(WireError::field(field, "has the wrong length"))
    }

    /// Takes an id that may be absent.
    ///
    /// # Errors
    /// When it is there and not an id.
    pub fn id_opt<T>(
        &mut self,
        key: i64,
        field: &'static str,
        from: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, WireError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let found = from(&bytes(field, value)?);
        found.map(Some).ok_or(WireError::field(field, "has the wrong length"))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a field is left that nobody knows.
    pub fn finish(self) -> Result<(), WireError> {
        if self.pairs.is_empty() {
            Ok(())
        } else {
            Err(WireError::field(self.what, "has a field that version 1 does not know"))
        }
    }
}

/// Reads an unsigned integer.
///
/// # Errors
/// When it is none.
pub fn uint(field: &'static str, value: &Value) -> Result<u64, WireError> {
    value
        .as_integer()
        .and_then(|n| u64::try_from(n).ok())
        .ok_or(WireError::field(field, "is not an unsigned integer"))
}

/// Reads a text of at most `bytes_max` bytes.
///
/// # Errors
/// When it is none or longer.
pub fn text(field: &'static str, value: Value, bytes_max: usize) -> Result<String, WireError> {
    let text = value.into_text().map_err(|_| WireError::field(field, "is not a text"))?;
    if text.len() > bytes_max {
        return Err(WireError::TooLarge { what: field, size: text.len(), limit: bytes_max });
    }
    Ok(text)
}

/// Reads a byte string.
///
/// # Errors
/// When it is none.
pub fn bytes(field: &'static str, value: Value) -> Result<Vec<u8>, WireError> {
    value.into_bytes().map_err(|_| WireError::field(field, "is not a byte string"))
}

/// Reads an array of at most `items_max` items.
///
/// # Errors
/// When it is none or longer.
pub fn array(field: &'static str, value: Value, items_max: usize) -> Result<Vec<Value>, WireError> {
    let items = value.into_array().map_err(|_| WireError::field(field, "is not an array"))?;
    if items.len() > items_max {
        return Err(WireError::TooLarge { what: field, size: items.len(), limit: items_max });
    }
    Ok(items)
}

/// Reads an array of short texts.
///
/// # Errors
/// When it is none, or over a bound.
pub fn texts(
    field: &'static str,
    value: Value,
    items_max: usize,
    bytes_max: usize,
) -> Result<Vec<String>, WireError> {
    array(field, value, items_max)?.into_iter().map(|item| text(field, item, bytes_max)).collect()
}

/// An array of texts as a value.
#[must_use]
pub fn texts_value(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_encoding_is_read() {
        let check = |hex: &str, ok: bool| {
            let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
            assert_eq!(decode("test", &bytes, 64).is_ok(), ok, "{hex}");
        };
        check("a10102", true);
        check("a1011802", false); // 2 in two bytes
        check("a2020101 02".replace(' ', "").as_str(), false); // keys out of order
        check("a201010102", false); // a doubled key
        check("bf0102ff", false); // indefinite length
        check("a1010200", false); // a byte after the end
        check("f93c00", false); // a float
        check("c000", false); // a tag
        check("a101", false); // cut off
        check("818181818181818181818100", false); // too deep
    }
}
