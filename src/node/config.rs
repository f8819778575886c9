//! Where a home is, what is in it, and the few settings that a user may set.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    base::{ClaimedName, PeerId},
    store::storage_key::{KeyPlace, KeySource, Keyring},
};

/// Which networks the node uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Direct and through relays, found by DNS.
    #[default]
    Internet,
    /// The local network: direct, found by mDNS. No relay, no lookup.
    Lan,
    /// 127.0.0.1 alone: no relay, no lookup, no multicast, no port mapping.
    Loopback,
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Internet => "internet",
            Self::Lan => "lan",
            Self::Loopback => "loopback",
        })
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not one of the modes.
    #[error("COUNTERSIGN_NETWORK is {0:?}; use internet, lan or loopback")]
    Network(String),
    /// There is no home directory to default to.
    #[error("neither COUNTERSIGN_HOME nor HOME is set; set COUNTERSIGN_HOME to a folder")]
    NoHome,
    /// A Unix socket's path has a limit.
    #[error(
        "COUNTERSIGN_HOME is {size} bytes long; the limit is {SOCKET_HOME_BYTES_MAX}, because a \
         Unix socket's path is short; choose a shorter one"
    )]
    HomeTooLong {
        /// How long it is.
        size: usize,
    },
    /// `config.toml` cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// `sun_path` is 104 bytes on macOS and 108 on Linux, with its end.
const SOCKET_HOME_BYTES_MAX: usize = 104 - "/node.sock".len() - 1;

impl FromStr for NetworkMode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        [Self::Internet, Self::Lan, Self::Loopback]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| ConfigError::Network(text.to_owned()))
    }
}

/// A folder that holds one node: its keys, its store, its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home at `path`.
    ///
    /// # Errors
    /// When the path is too long for the socket in it.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let size = path.as_os_str().len();
        if size > SOCKET_HOME_BYTES_MAX {
            return Err(ConfigError::HomeTooLong { size });
        }
        Ok(Self(path))
    }

    /// The home that the environment names: `COUNTERSIGN_HOME`, or `~/.countersign`.
    ///
    /// # Errors
    /// When neither is there, or the path is too long.
    pub fn from_env() -> Result<Self, ConfigError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        match set("COUNTERSIGN_HOME") {
            Some(path) => Self::at(path),
            None => {
                Self::at(Path::new(&set("HOME").ok_or(ConfigError::NoHome)?).join(".countersign"))
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The node's key: 32 bytes, 0600.
    #[must_use]
    pub fn identity_file(&self) -> PathBuf {
        self.0.join("identity.key")
    }

    /// The sealed approver key: JSON, 0600.
    #[must_use]
    pub fn approver_file(&self) -> PathBuf {
        self.0.join("approver.key")
    }

    /// Wrong passphrases so far.
    #[must_use]
    pub fn attempts_file(&self) -> PathBuf {
        self.0.join("approver.attempts")
    }

    /// The settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The key of what is stored: 32 bytes, 0600. Not there where the desktop's keyring has it.
    #[must_use]
    pub fn storage_key_file(&self) -> PathBuf {
        self.0.join("store.key")
    }

    /// The key of what is stored, by these settings.
    #[must_use]
    pub fn key_source(&self, config: &Config) -> KeySource {
        KeySource {
            file: self.storage_key_file(),
            wanted: config.storage.key,
            keyring: Keyring::system(),
            came_in_file: false,
        }
    }

    /// The database.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.0.join("countersign.db")
    }

    /// Held by the one node that runs here.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.0.join("node.lock")
    }

    /// The copy of the database that a backup is made from: there only while one is made.
    #[must_use]
    pub fn copy_file(&self) -> PathBuf {
        self.0.join("backup.db")
    }

    /// There when this home has moved to another host.
    #[must_use]
    pub fn moved_file(&self) -> PathBuf {
        self.0.join("moved.json")
    }

    /// The node's socket.
    #[must_use]
    pub fn socket_file(&self) -> PathBuf {
        self.0.join("node.sock")
    }

    /// What the node says when it runs in the background.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.0.join("node.log")
    }
}

/// `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What this node calls itself to peers.
    pub name: ClaimedName,
    /// How it is reached.
    #[serde(default)]
    pub network: NetworkConfig,
    /// Where the page is.
    #[serde(default, skip_serializing_if = "PageConfig::is_default")]
    pub page: PageConfig,
    /// Clients that come over HTTP.
    #[serde(default, skip_serializing_if = "McpConfig::is_default")]
    pub mcp: McpConfig,
    /// A command that runs when a message arrives.
    #[serde(default, skip_serializing_if = "WakeConfig::is_default")]
    pub wake: WakeConfig,
    /// How what is stored is sealed.
    #[serde(default, skip_serializing_if = "StorageConfig::is_default")]
    pub storage: StorageConfig,
}

/// `[storage]` of `config.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// Where the key of what is stored is made at first use: `keyring` or `file`. Without it, in the
    /// desktop's keyring where one answers, and else in a file. It moves by `countersign storage
    /// key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPlace>,
}

impl StorageConfig {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[mcp]` of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpConfig {
    /// Serve the older pair `/sse` and `/messages` beside `/mcp`. Off by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sse: bool,
    /// More names by which this machine is asked, as `Host` has them: `name` or `name:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What else clients may say in `Origin`, beside the origins of this machine. No preflight is
    /// answered, so this lets in no page of a browser's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// An address beyond this machine to serve `/mcp` at, over TLS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<ListenConfig>,
}

impl McpConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[mcp.listen]` of `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Where: an IP address and a TCP port.
    pub address: std::net::SocketAddr,
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// `[wake]` of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeConfig {
    /// The program and its arguments. Nothing of a message is put into them. Empty: none runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How often at most, an hour: 1 to 120. Without it, 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
}

impl WakeConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[page]` of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// The TCP port on this machine. Without it, the one that it had before, or the first free one
    /// from 7311 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl PageConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[network]` of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Which networks; `COUNTERSIGN_NETWORK` comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<NetworkMode>,
    /// The UDP port to listen on. Without it, one is chosen and remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Relay URLs. Without it, the public relays of iroh's makers in internet mode, and none in
    /// the other modes; an empty list means none. In loopback mode each must be at 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relays: Option<Vec<String>>,
    /// Where peers are looked up, and can look us up: URLs of pkarr servers
    /// (`https://host/pkarr`), and `dht` for the BitTorrent DHT. Without it, the public server of
    /// iroh's makers in internet mode, and none in the other modes; an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookups: Option<Vec<String>>,
    /// Find peers on the local network by mDNS. Without it, in LAN mode alone; never in loopback
    /// mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mdns: Option<bool>,
    /// The URL of an HTTP proxy, for relays and lookups: `http://[user:password@]host:port`. The
    /// environment's is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// A file of certificates (PEM) by which relays and lookups are trusted, beside the public
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<PathBuf>,
    /// Whether peers must exchange keys in a way that withstands quantum computers.
    #[serde(default, skip_serializing_if = "PostQuantum::is_default")]
    pub post_quantum: PostQuantum,
    /// Where peers are, by their id: `ip:port` or relay URLs. Each is tried beside what is known
    /// otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<PeerId, Vec<String>>,
}

/// `post_quantum` of `[network]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostQuantum {
    /// X25519MLKEM768 with every peer that has it.
    #[default]
    Prefer,
    /// X25519MLKEM768 or no connection.
    Require,
}

impl PostQuantum {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// The settings of a node that is called `name`, all others as they are by default.
    #[must_use]
    pub fn of(name: ClaimedName) -> Self {
        Self {
            name,
            network: NetworkConfig::default(),
            page: PageConfig::default(),
            mcp: McpConfig::default(),
            wake: WakeConfig::default(),
            storage: StorageConfig::default(),
        }
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// When it is not there, or says what nobody knows.
    pub fn read(home: &Home) -> Result<Self, ConfigError> {
        let path = home.config_file();
        let file = |problem: String| ConfigError::File { path: path.clone(), problem };
        let text = std::fs::read_to_string(&path).map_err(|e| file(e.to_string()))?;
        Self::parse(&text).map_err(file)
    }

    /// Reads what the file holds.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// As the file holds it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Our own struct of plain values always serialises.
        toml::to_string(self).unwrap_or_default()
    }

    /// The mode that counts: the environment's, the file's, or internet.
    ///
    /// # Errors
    /// When the environment names none that there is.
    pub fn mode(&self) -> Result<NetworkMode, ConfigError> {
        match std::env::var("COUNTERSIGN_NETWORK") {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(self.network.mode.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_whose_socket_would_not_fit_is_refused_with_its_bound() {
        assert!(Home::at("/tmp/x").is_ok());
        let error = Home::at("/".to_owned() + &"x".repeat(200)).unwrap_err().to_string();
        assert!(error.contains("201 bytes") && error.contains("shorter"), "{error}");
    }

    #[test]
    fn a_config_with_an_unknown_field_is_refused() {
        let good: Config = toml::from_str("name = \"Ann\"\n[network]\nport = 7000").unwrap();
        assert_eq!(toml::from_str::<Config>(&good.to_toml()).unwrap(), good);
        assert!(toml::from_str::<Config>("name = \"Ann\"\nrelay = 1").is_err());
        assert!("Internet".parse::<NetworkMode>().is_err());
    }
}
