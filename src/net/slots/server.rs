//! Asking and writing one lookup: a pkarr server by HTTP, or the DHT (BEP 44).

use futures_util::StreamExt as _;
use iroh::EndpointId;
use iroh_dns::pkarr::{SignedPacket, Timestamp};
use n0_mainline::{Dht, DhtBuilder, MutableItem};
use reqwest::{Client, Proxy, StatusCode, redirect};
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    base::limits,
    net::{NetError, address::redacted},
};

/// What asks all servers. It follows no redirect, and no proxy but the configured one.
pub(super) fn client(tls: rustls::ClientConfig, proxy: Option<&str>) -> Result<Client, NetError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .timeout(limits::SLOT_TIMEOUT);
    let builder = match proxy {
        None => builder.no_proxy(),
        Some(url) => builder.proxy(Proxy::all(url).map_err(|_| NetError::Proxy(redacted(url)))?),
    };
    builder.build().map_err(|error| NetError::Endpoint(error.to_string()))
}

/// A pkarr server.
#[derive(Clone)]
pub(super) struct Server {
    http: Client,
    url: Url,
}

impl Server {
    pub(super) fn new(http: Client, url: Url) -> Self {
        Self { http, url }
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where the record of `key` is.
    fn record(&self, key: EndpointId) -> Result<Url, String> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| "the lookup's URL takes no path".to_owned())?
            .pop_if_empty()
            .push(&key.to_z32());
        Ok(url)
    }

    /// The record of `key`, its signature verified.
    pub(super) async fn get(&self, key: EndpointId) -> Result<Option<SignedPacket>, String> {
        let answer = self.http.get(self.record(key)?).send().await.map_err(said)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut answer = answer.error_for_status().map_err(said)?;
        let mut payload = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(said)? {
            payload.extend_from_slice(&chunk);
            if payload.len() > SignedPacket::MAX_BYTES {
                return Err("a record that is too long".to_owned());
            }
        }
        let packet = SignedPacket::from_relay_payload(&key, &payload);
        packet.map(Some).map_err(|error| error.to_string())
    }

    /// Puts a record in the place of the one that is there.
    pub(super) async fn put(&self, packet: &SignedPacket) -> Result<(), String> {
        let url = self.record(packet.public_key())?;
        let answer = self.http.put(url).body(packet.to_relay_payload()).send().await;
        answer.and_then(reqwest::Response::error_for_status).map(drop).map_err(said)
    }
}

/// What went wrong, without the URL: it names the slot.
fn said(error: reqwest::Error) -> String {
    error.without_url().to_string()
}

/// The DHT; a node of it is started when the first slot is used.
pub(super) struct Nodes {
    builder: DhtBuilder,
    node: OnceCell<Dht>,
}

impl Nodes {
    pub(super) fn new(builder: DhtBuilder) -> Self {
        Self { builder, node: OnceCell::new() }
    }

    async fn node(&self) -> Result<&Dht, String> {
        let start = || async {
            let node = self.builder.build().map_err(|error| error.to_string())?;
            match node.bootstrapped().await {
                Ok(true) => Ok(node),
                Ok(false) | Err(_) => Err("no node of the DHT answered".to_owned()),
            }
        };
        self.node.get_or_try_init(start).await
    }

    /// The newest record of `key` that any node has, its signature verified.
    pub(super) async fn get(&self, key: EndpointId) -> Result<Option<SignedPacket>, String> {
        let found = self.node().await?.get_mutable(key.as_bytes(), None, None).await;
        let found: Vec<_> = found.map_err(|error| error.to_string())?.collect().await;
        let newest = found.into_iter().max_by_key(MutableItem::seq);
        Ok(newest.and_then(|item| {
            let time = Timestamp::from_micros(u64::try_from(item.seq()).ok()?);
            let (key, signature) = (item.key(), item.signature());
            let packet =
                SignedPacket::from_parts_unchecked(key, signature, time, item.value()).ok()?;
            SignedPacket::from_bytes(packet.as_bytes()).ok()
        }))
    }

    /// Puts a record in the place of the one that is there.
    pub(super) async fn put(&self, packet: &SignedPacket) -> Result<(), String> {
        let seq = i64::try_from(packet.timestamp().as_micros());
        let item = MutableItem::new_signed_unchecked(
            *packet.public_key().as_bytes(),
            packet.signature().to_bytes(),
            packet.encoded_packet(),
            seq.map_err(|error| error.to_string())?,
            None,
        );
        let put = self.node().await?.put_mutable(item, None).await;
        put.map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use iroh::{SecretKey, endpoint_info::EndpointInfo};
    use n0_mainline::Testnet;

    use super::*;

    fn record(key: &SecretKey, relay: &str) -> SignedPacket {
        let info = EndpointInfo::new(key.public()).with_relay_url(relay.parse().unwrap());
        info.to_pkarr_signed_packet(key, 30).unwrap()
    }

    #[tokio::test]
    async fn a_record_in_the_dht_is_found_and_a_later_one_takes_its_place() {
        let net = Testnet::new(5).await.unwrap();
        let mut builder = DhtBuilder::default();
        builder.bootstrap(&net.bootstrap);
        let (ours, theirs) = (Nodes::new(builder.clone()), Nodes::new(builder));
        let key = SecretKey::from_bytes(&[5; 32]);
        assert_eq!(theirs.get(key.public()).await.unwrap(), None);
        for relay in ["https://one.example./", "https://two.example./"] {
            let packet = record(&key, relay);
            ours.put(&packet).await.unwrap();
            let found = theirs.get(key.public()).await.unwrap().unwrap();
            assert_eq!(found.as_bytes(), packet.as_bytes());
        }
    }
}
