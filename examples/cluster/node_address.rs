//! Where a node is reached.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::ensure;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Where other nodes reach a node: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct NodeAddress(String);

impl FromStr for NodeAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        ensure!(
            can_be_reached(text),
            "{text:?} is no address that other nodes could reach; one looks like 10.0.0.1:7001 or \
             node-1.example:7001"
        );
        Ok(Self(text.to_owned()))
    }
}

fn can_be_reached(text: &str) -> bool {
    // It becomes a part of URLs.
    let Ok(url) = Url::parse(&format!("http://{text}")) else {
        return false;
    };
    let Some(port @ 1..) = url.port_or_known_default() else {
        return false;
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        // This one stands for every interface of a machine.
        return !address.ip().to_canonical().is_unspecified();
    }
    // Not a path or a user beside it, nor a number that a URL takes for an IP address: 0 is 0.0.0.0.
    url.domain()
        .is_some_and(|name| text.eq_ignore_ascii_case(&format!("{name}:{port}")))
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
            "host:+1",
            "host:70000",
            "0.0.0.0:7001",
            "127.0.0.1:0",
            "0:7001",
            "[::]:7001",
            "[::ffff:0.0.0.0]:7001",
            "::1:7001",
            "host:7001:7001",
            "http://host:7001",
            "host:7001/status",
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
        for text in [
            "127.0.0.1:7001",
            "[::1]:80",
            "[::ffff:127.0.0.1]:7001",
            "localhost:80",
            "Node-1.example:7001",
        ] {
            let address: NodeAddress = text.parse().unwrap();
            assert_eq!(
                serde_json::to_string(&address).unwrap(),
                format!("{text:?}")
            );
        }
    }
}
