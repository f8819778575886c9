//! Networks that lose packets, hold them, and change their order.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use patchbay::{Device, Nat};
use tokio::{net::UdpSocket, sync::oneshot, time};

use crate::{
    outcome::Outcome,
    side::{Network, befriend},
    talk::Talk,
    traffic::now_ms,
    world::{Wall, World, forbid},
};

/// The homes' UDP port, where they are told of each other by hand.
const PORT: u16 = 4433;
/// How long the forwarder holds each packet, and how much longer it may.
const HOLD: Duration = Duration::from_millis(200);
const JITTER_MS: u64 = 60;

pub(super) fn loss_2() -> Outcome {
    loss(2)
}

pub(super) fn loss_10() -> Outcome {
    loss(10)
}

fn loss(percent: u32) -> Outcome {
    let mut talk = Talk::begin(World::new(), Wall::Nat(Nat::Moderate), "direct");
    // Forwarded packets are those of both directions.
    forbid(&talk.bob.router, "loss", &format!("numgen random mod 100 < {percent} drop"));
    let begun_ms = now_ms();
    std::thread::sleep(Duration::from_secs(8));
    talk.heals(begun_ms, begun_ms, Some(Duration::from_secs(2)));
    talk.end()
}

/// The only way between the two goes through a forwarder that holds every packet. They know of each
/// other's place by the configuration alone: no relay, no lookup.
pub(super) fn delay() -> Outcome {
    let world = World::new();
    let open = Wall::Nat(Nat::None);
    let (alice, bob) = world.two_sides([open.clone(), open], &world.network());
    befriend(&alice, &bob);
    let middle = world.device("middle", world.servers.id());
    let here = middle.ip().unwrap();
    let at = |side: &crate::side::Side| SocketAddr::from((side.device.ip().unwrap(), PORT));
    forward(&middle, [at(&alice), at(&bob)]);
    // What is not from or to the forwarder is lost.
    let rule = format!("meta l4proto udp ip saddr != {here} ip daddr != {here} drop");
    for (n, (side, other)) in [(&alice, &bob), (&bob, &alice)].into_iter().enumerate() {
        forbid(&side.router, "direct", &rule);
        let place = SocketAddr::from((here, PORT + u16::try_from(n).unwrap()));
        let id = other.home.id();
        side.configure(&Network {
            relays: Vec::new(),
            lookups: Vec::new(),
            more: format!("port = {PORT}\n[network.peers]\n{id:?} = [\"{place}\"]\n"),
            ..world.network()
        });
    }
    let mut talk = Talk::between(world, alice, bob, "direct");
    let begun_ms = now_ms();
    std::thread::sleep(Duration::from_secs(8));
    talk.heals(begun_ms, begun_ms, None);
    let rtt = talk.alice.home.peer("bob").unwrap()["rtt_ms"].as_f64().unwrap();
    assert!(rtt >= 400.0, "the packets are held: {rtt} ms");
    talk.outcome.note = format!("round trip {rtt:.0} ms");
    talk.end()
}

/// Passes packets between two ends, in both directions, each later than it came. What is sent to the
/// first port goes to the second end, and comes from the second port there; and the other way round.
fn forward(middle: &Device, ends: [SocketAddr; 2]) {
    let (ready, is_ready) = oneshot::channel();
    let forwarding = async move |_| {
        let bind = |port| async move {
            Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await.unwrap())
        };
        let (first, second) = (bind(PORT).await, bind(PORT + 1).await);
        ready.send(()).unwrap();
        tokio::join!(
            pass(Arc::clone(&first), Arc::clone(&second), ends[1]),
            pass(second, first, ends[0])
        );
    };
    drop(middle.spawn(forwarding).unwrap());
    is_ready.blocking_recv().unwrap();
}

async fn pass(from: Arc<UdpSocket>, by: Arc<UdpSocket>, to: SocketAddr) {
    let mut packet = vec![0; 65536];
    let mut spread = 7_u64;
    while let Ok((size, _)) = from.recv_from(&mut packet).await {
        let (packet, by) = (packet[..size].to_vec(), Arc::clone(&by));
        // Numerical Recipes' generator: a different wait for each packet, so that they overtake.
        spread = spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hold = HOLD + Duration::from_millis((spread >> 16) % JITTER_MS);
        tokio::spawn(async move {
            time::sleep(hold).await;
            by.send_to(&packet, to).await.ok(); // Lost, as a packet may be.
        });
    }
}
