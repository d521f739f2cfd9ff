use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Where other nodes reach a node: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct NodeAddress(String);

impl FromStr for NodeAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (host, port) = text
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty())
            .with_context(|| format!("{text:?} is not an address like 127.0.0.1:7001"))?;
        let port = port.parse::<u16>();
        ensure!(port.is_ok_and(|port| port > 0), "{text:?} has no port");
        ensure!(
            !host.contains(['/', '?', '#', '@']) && !host.contains(char::is_whitespace),
            "{text:?} is more than a host and a port"
        );
        // One that stands for every interface of a machine.
        let stands_for_all = text
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.ip().is_unspecified());
        ensure!(
            !stands_for_all,
            "{text} is no address that other nodes could reach"
        );
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NodeAddress {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl From<NodeAddress> for String {
    fn from(address: NodeAddress) -> Self {
        address.0
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_that_others_can_reach_and_a_port() {
        for text in [
            "",
            "notanaddress",
            ":7001",
            "host:",
            "host:0",
            "host:70000",
            "0.0.0.0:7001",
            "[::]:7001",
            "http://host:7001",
            "user@host:7001",
            "two hosts:7001",
        ] {
            assert!(text.parse::<NodeAddress>().is_err(), "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(
                serde_json::from_str::<NodeAddress>(&json).is_err(),
                "{text}"
            );
        }
        for text in ["127.0.0.1:7001", "[::1]:7001", "node-1.example:7001"] {
            let address: NodeAddress = text.parse().unwrap();
            assert_eq!(
                serde_json::to_string(&address).unwrap(),
                format!("{text:?}")
            );
        }
    }
}
