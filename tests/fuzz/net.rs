//! What strangers send before a frame is read, and where they say that they are.

use std::{net::IpAddr, sync::LazyLock, time::SystemTime};

use countersign::{
    base::limits,
    net::{
        NetSettings, Reach,
        address::AddressRules,
        framing::{FrameBuffer, put},
        lan::message::{self, Heard},
        slots::record,
    },
};
use iroh::{SecretKey, TransportAddr};
use iroh_dns::pkarr::SignedPacket;

const REACHES: [Reach; 3] = [Reach::Internet, Reach::Lan, Reach::Loopback];

/// The rules of each reach: with the relays that it has by default, and with one of our own.
static RULES: LazyLock<Vec<AddressRules>> = LazyLock::new(|| {
    let one = Some(vec!["http://127.0.0.1:3340".to_owned()]);
    let settings = |relays| NetSettings { relays, ..NetSettings::default() };
    let of = |reach| [None, one.clone()].map(|relays| AddressRules::of(reach, &settings(relays)));
    REACHES.into_iter().flat_map(of).map(|rules| rules.expect("these are right")).collect()
});

/// Frames on a stream come out as they went in, in whatever pieces the bytes arrive. The first two
/// bytes say in which.
///
/// # Panics
/// When it does not hold.
pub fn framing(bytes: &[u8]) {
    let Some((step, stream)) = bytes.split_first_chunk() else { return };
    let step = usize::from(u16::from_be_bytes(*step)).max(1);
    let mut buffer = FrameBuffer::new(limits::FRAME_BYTES_MAX);
    let (mut came, mut rest) = (Vec::new(), stream);
    let refused = loop {
        match buffer.take() {
            Ok(Some(frame)) => came.push(frame.to_vec()),
            Ok(None) if rest.is_empty() => break false,
            Ok(None) => {
                let space = buffer.space();
                let count = step.min(space.len()).min(rest.len());
                assert!(count > 0, "there is always room for the frame that has begun");
                let (now, later) = rest.split_at(count);
                space[..count].copy_from_slice(now);
                buffer.filled(count);
                rest = later;
            }
            Err(_) => break true,
        }
    };
    let (frames, left, too_long) = split(stream);
    assert_eq!((&came, refused), (&frames, too_long));
    let mut again = Vec::new();
    for frame in &came {
        put(&mut again, frame);
    }
    again.extend_from_slice(left);
    assert_eq!(again, stream);
}

/// The frames of a whole stream, what is behind them, and whether that is too long.
fn split(stream: &[u8]) -> (Vec<Vec<u8>>, &[u8], bool) {
    let (mut frames, mut left) = (Vec::new(), stream);
    while let Some((length, rest)) = left.split_first_chunk() {
        let size = u32::from_be_bytes(*length) as usize;
        if size > limits::FRAME_BYTES_MAX {
            return (frames, left, true);
        }
        let Some((frame, rest)) = rest.split_at_checked(size) else { break };
        frames.push(frame.to_vec());
        left = rest;
    }
    (frames, left, false)
}

/// What is heard on the LAN is bounded, and each part of it reads the same when it is said again.
///
/// # Panics
/// When it does not hold.
pub fn lan(bytes: &[u8]) {
    let heard = message::read(bytes);
    assert!(heard.is_none() || bytes.len() <= limits::LAN_MESSAGE_BYTES_MAX);
    match heard {
        Some(Heard::Questions { questions, .. }) => {
            assert!((1..=limits::LAN_RECORDS_MAX).contains(&questions.len()));
            for question in questions {
                let said = message::question(&question.label, question.unicast).expect("a name");
                let again = Heard::Questions { id: 0, questions: vec![question] };
                assert_eq!(message::read(&said), Some(again));
            }
        }
        Some(Heard::Answers(answers)) => {
            assert!((1..=limits::LAN_RECORDS_MAX).contains(&answers.len()));
            for answer in answers {
                for legacy in [None, Some(7)] {
                    let said = message::answer(&answer, legacy).expect("a name");
                    let again = Heard::Answers(vec![answer.clone()]);
                    assert_eq!(message::read(&said), Some(again));
                }
            }
        }
        None => {}
    }
}

/// A slot's record, whatever is signed in it, leads nowhere that its reach does not go, and is the
/// same when it is put there again.
///
/// # Panics
/// When it does not hold.
pub fn slot(bytes: &[u8]) {
    let key = SecretKey::from_bytes(&[5; 32]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let dated = u64::try_from(now.as_micros()).expect("before the year 500,000").to_be_bytes();
    let public = *key.public().as_bytes();
    let packet = [public.as_slice(), &[0; 64], &dated, bytes].concat();
    let Ok(packet) = SignedPacket::from_bytes_unchecked(&packet) else { return };
    for rules in RULES.iter() {
        let Some(contact) = record::read(&packet, rules) else { continue };
        assert!((1..=limits::SLOT_ADDRESSES_MAX).contains(&contact.addresses.len()));
        dialed(rules, &contact.addresses);
        let put = record::sign(&key, Some(&contact), rules).expect("it fits");
        assert_eq!(record::read(&put, rules), Some(contact));
    }
}

/// Addresses as a peer names them, one a line: what is dialed is what its reach allows.
///
/// # Panics
/// When it does not hold.
pub fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for rules in RULES.iter() {
        dialed(rules, &lines);
        let strange = rules.strange(&lines, &[]);
        assert!(strange.iter().all(|line| lines.contains(line)));
        assert!(rules.strange(&strange, &strange).is_empty(), "what is known is not strange");
    }
}

fn dialed(rules: &AddressRules, addresses: &[String]) {
    let dialable = rules.dialable(addresses);
    assert!(dialable.len() <= addresses.len().min(limits::ADDRESSES_MAX));
    for address in dialable {
        let loopback = rules.reach() == Reach::Loopback;
        if let TransportAddr::Ip(ip) = &address {
            assert_eq!(ip.ip().to_canonical().is_loopback(), loopback, "{ip}");
            assert!(ip.port() != 0 && !ip.ip().is_unspecified() && !ip.ip().is_multicast(), "{ip}");
            assert_eq!(rules.dialable(&[ip.to_string()]), [address]);
        } else if let TransportAddr::Relay(url) = &address {
            assert!(["http", "https"].contains(&url.scheme()), "{url}");
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let here = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
            assert!(here || !loopback, "{url}");
        }
    }
}
