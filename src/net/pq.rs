//! The key exchange: X25519MLKEM768 where the other side has it, else X25519.
//!
//! Both halves must be broken for the keys to be known: ML-KEM-768 (FIPS 203) is for a recording
//! that a quantum computer meets one day, X25519 (RFC 7748) for the case that ML-KEM is not what
//! it seems. The signatures stay Ed25519: they are checked now, not later.

use std::sync::Arc;

use iroh::endpoint::Connection;
use noq::crypto::rustls::HandshakeData;
use rustls::{
    NamedGroup,
    crypto::{CryptoProvider, aws_lc_rs},
};

/// What all our TLS is made of, relays' and lookups' too.
pub(super) fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// Whether a connection's keys were exchanged the hybrid way, as was negotiated.
pub(super) fn is_pq(connection: &Connection) -> bool {
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
    let group = data.and_then(|data| data.negotiated_key_exchange_group);
    group == Some(NamedGroup::X25519MLKEM768)
}
