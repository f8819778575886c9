//! Endpoints that nobody trusts: they knock, or they connect and say nothing.

use std::{fs, sync::Arc, time::Duration};

use countersign::{
    base::{ApproverId, ClaimedName, Digest, Timestamp},
    wire::{ALPN_PAIR, ALPN_PEER, PairFrame, pair::Knock},
};
use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey,
    endpoint::{Connection, PortmapperConfig, presets},
};
use rustls::crypto::aws_lc_rs;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::measure::{Bounds, MEMORY, check, sized};
use crate::support::{Home, mallory, pair, pairing::friends, require::slow};

const MIB: u64 = 1024 * 1024;
/// Dials at once.
const BESIDE: usize = 16;
/// What one dial may take.
const DIAL: Duration = Duration::from_secs(4);

/// A raw endpoint with this key, or a fresh one.
async fn endpoint(key: Option<[u8; 32]>) -> Endpoint {
    let key = key.map_or_else(SecretKey::generate, |seed| SecretKey::from_bytes(&seed));
    Endpoint::builder(presets::Empty)
        .crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .alpns(vec![ALPN_PEER.to_vec()])
        .secret_key(key)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// Where a home's node is.
fn address(home: &Home) -> EndpointAddr {
    let me = home.json(&["whoami"]);
    let id: countersign::base::PeerId = home.id().parse().unwrap();
    let addresses = me["network"]["addresses"].as_array().unwrap();
    let socket = addresses.iter().find_map(|at| at.as_str().unwrap().parse().ok()).unwrap();
    EndpointAddr::new(EndpointId::from_bytes(id.as_bytes()).unwrap()).with_ip_addr(socket)
}

async fn dial(from: &Endpoint, to: EndpointAddr, alpn: &[u8]) -> Option<Connection> {
    timeout(DIAL, from.connect(to, alpn)).await.ok()?.ok()
}

fn knock() -> Vec<u8> {
    let frame = PairFrame::Knock(Knock {
        proof: Digest::from_bytes([1; 32]),
        commitment: Digest::from_bytes([2; 32]),
        approver: ApproverId::from_bytes([3; 32]),
        name: ClaimedName::parse("Somebody").unwrap(),
        created: Timestamp::from_ms(1),
    })
    .encode();
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    [&length, frame.as_slice()].concat()
}

/// One stranger: connects, knocks without an invite, and hears that there is nothing for it.
async fn stranger(to: EndpointAddr) -> bool {
    let from = endpoint(None).await;
    let served = async {
        let connection = dial(&from, to, ALPN_PAIR).await?;
        let (mut send, _recv) = connection.open_bi().await.ok()?;
        send.write_all(&knock()).await.ok()?;
        timeout(DIAL, connection.closed()).await.ok().map(drop)
    };
    let served = served.await.is_some();
    from.close().await;
    served
}

/// Runs `count` of them, some at once; gives how many were served.
fn all<F>(count: usize, one: impl Fn(usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (places, mut tasks) = (Arc::new(Semaphore::new(BESIDE)), JoinSet::new());
        for number in 0..count {
            let place = Arc::clone(&places).acquire_owned().await.unwrap();
            let one = one(number);
            tasks.spawn(async move {
                let served = one.await;
                drop(place);
                served
            });
        }
        let mut served = 0;
        while let Some(done) = tasks.join_next().await {
            served += usize::from(done.unwrap());
        }
        served
    })
}

#[test]
fn ten_thousand_strangers_that_knock_cost_nobody_anything() {
    if !slow() {
        return;
    }
    let (alice, bob) = friends();
    alice.json(&["invite"]);
    let to = address(&alice);
    let bounds = Bounds { memory: MEMORY, disk: 2 * MIB, pending: 0, alerts: 0 };
    check("strangers that knock", (&alice, &bob), &bounds, || {
        let served = all(sized(150, 10_000), |_| stranger(to.clone()));
        assert!(served > 0, "some come as far as a knock");
    });
    assert_eq!(alice.json(&["peers"])["peers"].as_array().unwrap().len(), 1);
}

#[test]
fn a_thousand_connections_that_say_nothing_cost_nobody_anything() {
    if !slow() {
        return;
    }
    let (alice, bob) = friends();
    let carol = mallory();
    pair(&alice, &carol);
    carol.stop();
    alice.json(&["invite"]);
    let to = address(&alice);
    let seed: [u8; 32] = fs::read(carol.path().join("identity.key")).unwrap().try_into().unwrap();
    let bounds = Bounds { memory: MEMORY, disk: 2 * MIB, pending: 0, alerts: 0 };
    check("half-open streams", (&alice, &bob), &bounds, || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // One that is trusted, and one that is not: each opens streams and writes nothing.
        let (trusted, foreign) =
            runtime.block_on(async { (endpoint(Some(seed)).await, endpoint(None).await) });
        let opened = all(sized(120, 1000), |number| {
            let (from, alpn) =
                if number % 2 == 0 { (&trusted, ALPN_PEER) } else { (&foreign, ALPN_PAIR) };
            let (from, to) = (from.clone(), to.clone());
            async move {
                let Some(connection) = dial(&from, to, alpn).await else { return false };
                for _ in 0..8 {
                    let Ok(Ok((mut send, _))) = timeout(DIAL, connection.open_bi()).await else {
                        return true;
                    };
                    // The beginning of a length: the other side waits for the rest.
                    send.write_all(&[0, 0]).await.ok();
                    std::mem::forget(send);
                }
                std::mem::forget(connection);
                true
            }
        });
        assert!(opened > 0, "some come through the handshake");
    });
    assert_eq!(alice.peer_state("mallory"), "trusted");
}
