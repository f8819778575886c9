//! The wire format against its vectors.
