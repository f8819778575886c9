//! Questions and answers as DNS messages (RFC 1035, RFC 6762), and what is read of those of others.

use std::net::Ipv4Addr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, SRV, TXT},
    },
};

use super::names::Label;
use crate::base::{PeerId, limits};

/// All our names end so. It says that somebody here uses this program, and nothing else.
const SUFFIX: &str = "._countersign._udp.local.";
/// The top bit of a class: in a question, "answer me alone" (RFC 6762 section 5.4).
const UNICAST: u16 = 0x8000;
/// How long an answer may be remembered, in seconds; and by who asks from another port.
const TTL_S: u32 = 60;
const TTL_LEGACY_S: u32 = 10;

/// One question for a name of ours, or of somebody who uses this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub label: Label,
    /// The answer may go to the asker alone.
    pub unicast: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name.
    pub label: Label,
    /// The host that it stands for.
    pub address: Ipv4Addr,
    /// The UDP port there.
    pub port: u16,
    /// Of a slot, whose door it is.
    pub door: Option<PeerId>,
}

/// What a message is to us.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody asks.
    Questions {
        /// The number of the message.
        id: u16,
        /// At least one, and at most [`limits::LAN_RECORDS_MAX`].
        questions: Vec<Question>,
    },
    /// Somebody answers: at least one, and at most [`limits::LAN_RECORDS_MAX`].
    Answers(Vec<Answer>),
}

/// A message that asks for a name.
#[must_use]
pub fn question(label: &Label, unicast: bool) -> Option<Vec<u8>> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = false;
    let mut query = Query::query(name(label)?, RecordType::SRV);
    if unicast {
        query.set_query_class(DNSClass::from(UNICAST | u16::from(DNSClass::IN)));
    }
    message.add_query(query);
    message.to_vec().ok()
}

/// A message that answers. To an asker at another port than mDNS's, with the number and the
/// question of its message (RFC 6762 section 6.7).
#[must_use]
pub fn answer(answer: &Answer, legacy_id: Option<u16>) -> Option<Vec<u8>> {
    let mut message = Message::new(legacy_id.unwrap_or(0), MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.metadata.recursion_desired = false;
    let name = name(&answer.label)?;
    let ttl = if legacy_id.is_some() { TTL_LEGACY_S } else { TTL_S };
    if legacy_id.is_some() {
        message.add_query(Query::query(name.clone(), RecordType::SRV));
    }
    let record = |data| Record::from_rdata(name.clone(), ttl, data);
    message.add_answer(record(RData::SRV(SRV::new(0, 0, answer.port, name.clone()))));
    message.add_additional(record(RData::A(A(answer.address))));
    if let Some(door) = answer.door {
        message.add_additional(record(RData::TXT(TXT::new(vec![door.to_string()]))));
    }
    message.to_vec().ok()
}

fn name(label: &Label) -> Option<Name> {
    Name::from_ascii(format!("{}{SUFFIX}", label.text())).ok()
}

fn label(name: &Name) -> Option<Label> {
    let text = name.to_ascii().to_ascii_lowercase();
    Label::parse(text.strip_suffix(SUFFIX)?)
}

/// Reads a message; `None` for what is none, and for what is not about names of this kind.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Heard> {
    if bytes.len() > limits::LAN_MESSAGE_BYTES_MAX {
        return None;
    }
    let message = Message::from_vec(bytes).ok()?;
    if message.metadata.op_code != OpCode::Query {
        return None;
    }
    match message.metadata.message_type {
        MessageType::Query => {
            let questions: Vec<_> =
                message.queries.iter().take(limits::LAN_RECORDS_MAX).filter_map(asked).collect();
            let id = message.metadata.id;
            (!questions.is_empty()).then_some(Heard::Questions { id, questions })
        }
        MessageType::Response => {
            let answers = answers(&message);
            (!answers.is_empty()).then_some(Heard::Answers(answers))
        }
    }
}

fn asked(query: &Query) -> Option<Question> {
    let class = u16::from(query.query_class());
    let fits = matches!(query.query_type(), RecordType::SRV | RecordType::ANY);
    let in_class = class & !UNICAST == u16::from(DNSClass::IN);
    if !fits || !in_class {
        return None;
    }
    Some(Question { label: label(query.name())?, unicast: class & UNICAST != 0 })
}

fn answers(message: &Message) -> Vec<Answer> {
    let records: Vec<&Record> = message.all_sections().take(limits::LAN_RECORDS_MAX).collect();
    let data_of = |name: &Name| {
        let name = name.clone();
        records.iter().filter(move |record| record.name == name).map(|record| &record.data)
    };
    let read = |record: &&Record| {
        let RData::SRV(srv) = &record.data else { return None };
        let address = data_of(&srv.target).find_map(|data| {
            let RData::A(A(address)) = data else { return None };
            Some(*address)
        })?;
        let door = data_of(&record.name).find_map(|data| {
            let RData::TXT(txt) = data else { return None };
            std::str::from_utf8(txt.txt_data.first()?).ok()?.parse().ok()
        });
        Some(Answer { label: label(&record.name)?, address, port: srv.port, door })
    };
    records.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label_of(text: &str) -> Label {
        Label::parse(text).unwrap()
    }

    const ONE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    const OTHER: &str = "abcdefghijklmnopqrstuvwxya";

    #[test]
    fn what_is_asked_and_answered_is_read_as_it_was_meant() {
        for unicast in [false, true] {
            let label = label_of(OTHER);
            let bytes = question(&label, unicast).unwrap();
            let questions = vec![Question { label, unicast }];
            assert_eq!(read(&bytes), Some(Heard::Questions { id: 0, questions }));
        }
        for (door, legacy) in [(None, None), (Some(PeerId::from_bytes([7; 32])), Some(9))] {
            let address = Ipv4Addr::new(192, 0, 2, 7);
            let said = Answer { label: label_of(ONE), address, port: 4000, door };
            let bytes = answer(&said, legacy).unwrap();
            assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), legacy.unwrap_or(0));
            assert_eq!(read(&bytes), Some(Heard::Answers(vec![said])));
        }
    }

    /// RFC 1035 section 4.1: a header, one question for SRV.
    fn query(name: &[u8]) -> Vec<u8> {
        let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&header[..], name, &[0, 33, 0, 1]].concat()
    }

    #[test]
    fn what_is_no_question_for_such_a_name_is_nothing() {
        let wire = |labels: &[&str]| {
            let mut name = Vec::new();
            for label in labels {
                name.push(u8::try_from(label.len()).unwrap());
                name.extend_from_slice(label.as_bytes());
            }
            name.push(0);
            name
        };
        assert!(read(&query(&wire(&[ONE, "_countersign", "_udp", "local"]))).is_some());
        assert!(
            read(&query(&wire(&[&ONE.to_uppercase(), "_Countersign", "_udp", "local"]))).is_some()
        );
        for other in [
            wire(&["_countersign", "_udp", "local"]),
            wire(&[ONE, "_http", "_tcp", "local"]),
            wire(&["x", ONE, "_countersign", "_udp", "local"]),
            wire(&["alice", "_countersign", "_udp", "local"]),
            wire(&[ONE, "_countersign", "_udp", "local", "example"]),
            wire(&[]),
            // Names that point at themselves, at each other, and beyond the end.
            vec![0xc0, 12],
            vec![1, b'a', 0xc0, 12],
            vec![0xc0, 14, 0xc0, 12],
            vec![0xff, 0xff],
            vec![63, b'a'],
        ] {
            assert_eq!(read(&query(&other)), None, "{other:?}");
        }
        let mut address = query(&wire(&[ONE, "_countersign", "_udp", "local"]));
        let at = address.len() - 3;
        address[at] = 1;
        assert_eq!(read(&address), None, "a question for an address");
        let long = [query(&wire(&[ONE, "_countersign", "_udp", "local"])), vec![0; 2000]].concat();
        assert_eq!(read(&long), None);
    }

    #[test]
    fn a_message_of_many_questions_is_read_up_to_a_bound() {
        let mut message = question(&label_of(ONE), false).unwrap();
        let again = [&[0xc0, 12][..], &[0, 33, 0, 1]].concat();
        message.extend(again.repeat(59));
        message[5] = 60;
        let Some(Heard::Questions { questions, .. }) = read(&message) else { panic!("a question") };
        assert_eq!(questions.len(), limits::LAN_RECORDS_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            drop(read(&bytes));
        }

        #[test]
        fn no_damage_to_an_answer_breaks_it(at in 0usize..120, to in any::<u8>()) {
            let address = Ipv4Addr::new(192, 0, 2, 7);
            let door = Some(PeerId::from_bytes([7; 32]));
            let said = Answer { label: label_of(ONE), address, port: 4000, door };
            let mut bytes = answer(&said, None).unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            drop(read(&bytes));
        }
    }
}
