use std::sync::{Arc, LazyLock, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        HeaderMap, Method, Request, StatusCode,
        header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE},
    },
    response::Response,
};
use data_encoding::HEXLOWER;
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use crate::{
    base::{ClaimedName, InviteId, MessageId, MessageText, Secret, SessionName, ThreadId},
    gate::{Decision, Item, Statement, What},
    identity::{ApproverKey, IdentityKey, SealNonces, SealedApprover},
    node::{
        NodeHandle,
        api::{self, *},
        clock,
        config::{Config, Home},
        handle::Question,
        review::Checked,
    },
    policy::Policy,
    policy::Strength,
    risk::Severity,
    store::keys,
    web::{page::Page, router},
    wire::{Body as MessageBody, ConsentRecord, Draft, Envelope, Header, Kind, Party, SignedGrant},
};

pub(super) const PORT: u16 = 7311;
pub(super) const PASSPHRASE: &str = "mauve otter drifts past nine lanterns";
pub(super) const CODE: &str = "the-code";
/// What the script of the page made when the link was opened.
pub(super) const ORIGIN_KEY: &str = "a key of this origin";

/// Sealing takes a quarter of a second, so it is done once.
static SEALED: LazyLock<SealedApprover> = LazyLock::new(|| {
    let random = SealNonces { salt: [1; 16], nonce: [2; 24] };
    let passphrase = Secret::new(PASSPHRASE.to_owned());
    SealedApprover::seal(&Secret::new([101; 32]), &passphrase, &random).unwrap()
});

pub(super) fn node_key(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([n; 32]))
}

pub(super) fn human_key(n: u8) -> ApproverKey {
    ApproverKey::from_seed(&Secret::new([n; 32]))
}

/// What the fake node holds and was asked.
#[derive(Default)]
pub(super) struct World {
    pub(super) codes: Vec<String>,
    pub(super) items: Vec<PendingShown>,
    pub(super) asked: Vec<HumanRequest>,
    /// What the node makes of a draft's text.
    pub(super) twist: Option<String>,
    /// The least countersignature with which the receiver takes what is sent.
    pub(super) least: Option<Strength>,
    /// The policy that counts, where it is not the standard.
    pub(super) policy: Option<String>,
}

/// A home with a page whose node is made up.
pub(super) struct Desk {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) node: NodeHandle,
    pub(super) page: Page,
    pub(super) router: Router,
    pub(super) home: Home,
    _folder: TempDir,
}

/// A browser with a session.
pub(super) struct Browser {
    router: Router,
    /// The cookie, and the token of its forms.
    session: Mutex<(String, String)>,
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Desk {
    pub(super) fn new() -> Self {
        let desk = Self::without_approver();
        keys::create_approver(&desk.home.approver_file(), &SEALED).unwrap();
        desk
    }

    pub(super) fn without_approver() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("h")).unwrap();
        keys::create_home(home.path()).unwrap();
        let name = ClaimedName::parse("Alice").unwrap();
        let config = Config::of(name);
        keys::replace(&home.config_file(), config.to_toml().as_bytes()).unwrap();
        let world =
            Arc::new(Mutex::new(World { codes: vec![CODE.to_owned()], ..World::default() }));
        let (node, mut questions) = NodeHandle::channel();
        let answering = Arc::clone(&world);
        tokio::spawn(async move {
            while let Some(Question { request, answer, .. }) = questions.recv().await {
                let reply = match request {
                    api::Request::Human(request) => human(&mut answering.lock().unwrap(), request),
                    api::Request::Agent(request) => agent(&answering.lock().unwrap(), &request),
                };
                answer.send(reply).ok();
            }
        });
        let shared = (TaskTracker::new(), CancellationToken::new());
        let of = (home.clone(), node_key(1).id());
        let page = Page::new(node.clone(), of, PORT, shared);
        let router = router(page.clone());
        Self { world, node, page, router, home, _folder: folder }
    }

    /// Opens the page with a link's code.
    pub(super) async fn open(&self) -> Browser {
        let code = CODE.to_owned();
        self.world.lock().unwrap().codes.push(code);
        let fields = [("code", CODE), ("origin_key", ORIGIN_KEY)];
        let opened = post(&self.router, "/open", &fields, None).await;
        assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.text);
        let browser = Browser { router: self.router.clone(), session: Mutex::default() };
        browser.keep(&opened.headers).await;
        browser
    }

    /// Opens the page and types the passphrase.
    pub(super) async fn unlocked(&self) -> Browser {
        let browser = self.open().await;
        let done = browser.post("/unlock", &[("passphrase", PASSPHRASE)]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER);
        assert!(browser.get("/settings").await.text.contains("data-unlocked"));
        browser
    }

    /// Something waits from now on. Gives its form's digest.
    pub(super) fn waits(&self, item: &Item) -> String {
        self.waits_by(item, false)
    }

    /// The same, for what may have begun with a code.
    pub(super) fn waits_by(&self, item: &Item, by_code: bool) -> String {
        let mut shown = shown(item);
        shown.item.by_code = by_code;
        shown.item.strength = self.world.lock().unwrap().least;
        let (me, approver) = (node_key(1).id(), human_key(101).id());
        let digest = Checked::new(shown.clone(), me, &approver).unwrap().seen().to_string();
        self.world.lock().unwrap().items = vec![shown];
        digest
    }

    /// The decisions that the node was brought, read and verified, with their grants.
    pub(super) fn decisions(&self) -> Vec<(Statement, Option<SignedGrant>)> {
        let approver = human_key(101).id();
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let read = |request: &HumanRequest| {
            let HumanRequest::Decide { statement, signature, seal, grant, .. } = request else {
                return None;
            };
            let decision = Decision {
                statement: hex(statement),
                signature: hex(signature).try_into().unwrap(),
                seal: hex(seal),
            };
            let grant = grant.as_ref().map(|signed| SignedGrant {
                statement: hex(&signed.statement),
                signature: hex(&signed.signature).try_into().unwrap(),
            });
            Some((decision.open(&approver).unwrap(), grant))
        };
        self.world.lock().unwrap().asked.iter().filter_map(read).collect()
    }

    pub(super) fn asked(&self) -> Vec<HumanRequest> {
        self.world.lock().unwrap().asked.clone()
    }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, 1 << 24).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    Answered { status: parts.status, headers: parts.headers, text }
}

/// A request as a browser sends it that says nothing of itself.
pub(super) fn request(method: Method, path: &str, cookie: Option<&str>) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(path).header(HOST, format!("localhost:{PORT}"));
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub(super) async fn get(router: &Router, path: &str, cookie: Option<&str>) -> Answered {
    read(send(router, request(Method::GET, path, cookie)).await).await
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> Answered {
    read(send(router, request).await).await
}

/// A form of the page itself.
pub(super) async fn post(
    router: &Router,
    path: &str,
    fields: &[(&str, &str)],
    cookie: Option<&str>,
) -> Answered {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = request(Method::POST, path, cookie);
    let headers = request.headers_mut();
    headers.insert(ORIGIN, format!("http://localhost:{PORT}").parse().unwrap());
    headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    *request.body_mut() = Body::from(body);
    read(send(router, request).await).await
}

impl Browser {
    pub(super) fn cookie(&self) -> String {
        self.session.lock().unwrap().0.clone()
    }

    pub(super) fn csrf(&self) -> String {
        self.session.lock().unwrap().1.clone()
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        get(&self.router, path, Some(&self.cookie())).await
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let csrf = self.csrf();
        let own = [("csrf", csrf.as_str()), ("origin_key", ORIGIN_KEY)];
        let fields = [&own, fields].concat();
        let answer = post(&self.router, path, &fields, Some(&self.cookie())).await;
        self.keep(&answer.headers).await;
        answer
    }

    /// Keeps a new cookie, and reads the token that goes with it as the page's script would.
    async fn keep(&self, headers: &HeaderMap) {
        let Some(set) = headers.get(SET_COOKIE) else { return };
        let cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut csrf = String::new();
        for path in ["/settings", "/setup"] {
            let mut quiet = request(Method::GET, path, Some(&cookie));
            quiet.headers_mut().insert("x-background", "1".parse().unwrap());
            let page = ask(&self.router, quiet).await.text;
            if let Some(after) = page.split("name=\"csrf\" value=\"").nth(1) {
                csrf = after.split('"').next().unwrap().to_owned();
            }
        }
        *self.session.lock().unwrap() = (cookie, csrf);
    }

    /// Sends a form and follows it to the page that says what came of it.
    pub(super) async fn told(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let sent = self.post(path, fields).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        let place = sent.headers[LOCATION].to_str().unwrap();
        self.get(place).await.text
    }
}

fn none(what: &str) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("there is no {what}"), "look again")
}

fn human(world: &mut World, request: HumanRequest) -> Result<Reply, ApiError> {
    world.asked.push(request.clone());
    match request {
        HumanRequest::PageOpen { code } => {
            let place = world.codes.iter().position(|known| *known == code);
            place.map(|place| world.codes.remove(place));
            Ok(Reply::PageOpened(PageOpened { opened: place.is_some() }))
        }
        HumanRequest::Pending => Ok(Reply::Pending(PendingList {
            items: world.items.iter().map(|shown| shown.item.clone()).collect(),
            warnings: Vec::new(),
        })),
        HumanRequest::Show { id } => {
            let found = world.items.iter().find(|shown| shown.item.id == id);
            found.cloned().map(Reply::Show).ok_or_else(|| none("such item"))
        }
        HumanRequest::Decide { id, .. } => Ok(decided(world, id, "approved")),
        HumanRequest::Deny { id, .. } => Ok(decided(world, id, "denied")),
        HumanRequest::Grant(_) | HumanRequest::GrantEnd { .. } | HumanRequest::ApproverSet => {
            Ok(Reply::Done(Done { done: true }))
        }
        HumanRequest::Grants => Ok(Reply::Grants(Grants { grants: Vec::new() })),
        HumanRequest::Policy
        | HumanRequest::PolicySet { .. }
        | HumanRequest::PolicyReset { .. } => {
            let (text, source) = match &world.policy {
                Some(text) => (text.clone(), PolicySource::Signed),
                None => (Policy::standard_text().to_owned(), PolicySource::Standard),
            };
            let digest = "ab".repeat(32);
            let (set_at, warning) = (None, None);
            Ok(Reply::PolicyShown(PolicyShown { source, text, digest, serial: 4, set_at, warning }))
        }
        HumanRequest::TaintShow => {
            let peer = PeerRef { id: node_key(3).id().to_string(), name: "bob".into() };
            let read = vec![Read { peer, until: clock::now().rfc3339() }];
            Ok(Reply::Taint(TaintState { read }))
        }
        HumanRequest::Sessions => Ok(Reply::Sessions(Sessions { sessions: Vec::new() })),
        HumanRequest::TaintClear { .. } => Ok(Reply::Done(Done { done: true })),
        HumanRequest::KnownList | HumanRequest::KnownForget { .. } => {
            let (id, label) = ("knownval".to_owned(), "DB_PASSWORD".to_owned());
            let value = KnownInfo { id, label, length: 20, added_at: clock::now().rfc3339() };
            Ok(Reply::Known(KnownValues { values: vec![value], added: 0 }))
        }
        HumanRequest::Draft { text, reply_to, thread, .. } => {
            let text = world.twist.clone().unwrap_or(text);
            Ok(Reply::Drafted(Drafted {
                envelope: draft(&text, reply_to, thread),
                strength: world.least,
            }))
        }
        HumanRequest::SendDraft { .. } => Ok(Reply::Done(Done { done: true })),
        HumanRequest::AuditShow { after, .. } => Ok(Reply::Audit(audit(after))),
        HumanRequest::Connect(UseInvite { invite, .. }) => Err(none(&format!("invite {invite}"))),
        HumanRequest::AuditVerify => Ok(Reply::AuditVerified(AuditVerified {
            ok: true,
            records: 3,
            checkpoints: 1,
            problem: None,
            first_bad: None,
            looked_at: Vec::new(),
        })),
        _ => Err(none("answer to this")),
    }
}

fn decided(world: &mut World, id: String, decision: &str) -> Reply {
    world.items.retain(|shown| shown.item.id != id);
    let (decision, method) = (decision.to_owned(), "x".to_owned());
    Reply::Decided(Decided { id, decision, method, at: clock::now().to_string() })
}

/// Three records, in two parts.
fn audit(after: u64) -> AuditPage {
    let record = |seq| AuditRecord {
        seq,
        at: clock::now().to_string(),
        event: serde_json::json!({ "event": "started" }),
        hash: "00".to_owned(),
    };
    let records = (after + 1..=3).take(2).map(record).collect();
    AuditPage { records, more: after == 0 }
}

fn agent(world: &World, request: &AgentRequest) -> Result<Reply, ApiError> {
    match request {
        AgentRequest::Whoami => Ok(Reply::Whoami(Whoami {
            id: node_key(1).id().to_string(),
            name: "Alice".to_owned(),
            words: vec!["able".to_owned()],
            did: "did:key:z6Mk".to_owned(),
            approver: ApproverInfo { set: true, did: None },
            network: NetworkInfo { mode: "loopback".to_owned(), addresses: vec![], relay: None },
            waiting: u64::try_from(world.items.len()).unwrap(),
            unread: 5,
            version: "0.1.0".to_owned(),
        })),
        AgentRequest::Peers { .. } => Ok(Reply::Peers(Peers { peers: Vec::new() })),
        AgentRequest::Invite { code, .. } => Ok(Reply::Invite(InviteMade {
            invite: if *code { String::new() } else { "countersign1abc".to_owned() },
            code: code.then(|| "copper violin harbor".to_owned()),
            expires_at: clock::now().to_string(),
        })),
        _ => Err(none("answer to this")),
    }
}

/// A message from Alice to Bob.
fn envelope(text: &str, human: bool, reply_to: Option<String>, thread: Option<String>) -> Envelope {
    let reply_to: Option<MessageId> = reply_to.map(|id| id.parse().unwrap());
    let thread: Option<ThreadId> = thread.map(|id| id.parse().unwrap());
    let header = Header {
        kind: Kind::Text,
        id: MessageId::from_bytes(clock::random()),
        sender: node_key(1).id(),
        recipient: node_key(3).id(),
        created: clock::now(),
        expires: clock::now().plus(std::time::Duration::from_hours(1)),
        thread: thread.or(Some(ThreadId::from_bytes([8; 16]))),
        reply_to,
        human,
        session: (!human).then(|| SessionName::parse("api").unwrap()),
    };
    let body = MessageBody::Text(MessageText::parse(text).unwrap());
    Draft { header, body }.seal(&node_key(1)).unwrap()
}

fn draft(text: &str, reply_to: Option<String>, thread: Option<String>) -> String {
    HEXLOWER.encode(envelope(text, true, reply_to, thread).bytes())
}

pub(super) fn message(text: &str) -> Item {
    Item::Message(What::MessageOut, envelope(text, false, None, None))
}

pub(super) fn peer() -> Item {
    let party = |n: u8, name: &str| Party {
        identity: node_key(n).id(),
        approver: human_key(n + 100).id(),
        name: ClaimedName::parse(name).unwrap(),
        nonce: [n; 16],
    };
    let record = ConsentRecord {
        invite: InviteId::from_bytes([0; 16]),
        created: clock::now(),
        inviter: party(1, "Alice"),
        joiner: party(3, "Bob"),
    };
    Item::Peer(What::PeerIn, record)
}

fn shown(item: &Item) -> PendingShown {
    let words = match item {
        Item::Peer(_, record) => Some(record.words().into_iter().map(String::from).collect()),
        Item::Message(..) => None,
    };
    let reason = FindingInfo {
        rule: "secret.token".to_owned(),
        severity: Severity::High,
        text: "the text may hold a token".to_owned(),
    };
    let peer = PendingPeer {
        name: "bob".to_owned(),
        id: node_key(3).id().to_string(),
        claim: "Bob".to_owned(),
        verified: false,
    };
    PendingShown {
        item: PendingItem {
            id: "abcdefgh".to_owned(),
            what: item.what(),
            peer,
            reasons: vec![reason],
            digest: item.digest().to_string(),
            size_bytes: 100,
            words,
            created_at: clock::now().to_string(),
            expires_at: clock::now().plus(std::time::Duration::from_hours(1)).to_string(),
            note: None,
            by_code: false,
            not_ready: None,
            repeats: 0,
            after: Vec::new(),
            strength: None,
        },
        bytes: HEXLOWER.encode(&item.encode()),
        node: node_key(1).id().to_string(),
    }
}
