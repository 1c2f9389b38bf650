//! The network of the cluster: a bridge with the address of everything that is not a Pod, and one namespace for each Pod of ours.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::process::succeed;

/// Where the API server and the registry are, as Pods see them.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The device of the bridge.
pub(crate) const BRIDGE: &str = "vouchsafe0";

/// The bridge, and the Pods that are on it.
pub(crate) struct Network {
    next: AtomicU16,
}

/// A Pod's own network: an address that no other has, and every port of it.
pub(crate) struct PodNetwork {
    name: String,
    address: Ipv4Addr,
}

// === impl Network ===

impl Network {
    /// Makes the bridge.
    pub(crate) fn lay() -> Self {
        ip("link set lo up");
        ip(&format!("link add {BRIDGE} type bridge"));
        ip(&format!("addr add {HOST}/16 dev {BRIDGE}"));
        ip(&format!("link set {BRIDGE} up"));
        Self {
            next: AtomicU16::new(1),
        }
    }

    /// A network for one more Pod.
    pub(crate) fn pod(&self) -> PodNetwork {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = number.to_be_bytes();
        assert!(
            high < 200,
            "{number} Pods are more than there are addresses"
        );
        let address = Ipv4Addr::new(10, 99, 1 + high, low);
        let name = format!("pod-{number}");
        let outer = format!("veth{number}");
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {outer} type veth peer name eth0 netns {name}"
        ));
        ip(&format!("link set {outer} master {BRIDGE} up"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} addr add {address}/16 dev eth0"));
        ip(&format!("-n {name} link set eth0 up"));
        // To the addresses of Services, and to nothing else: the bridge leads nowhere.
        ip(&format!("-n {name} route add default via {HOST}"));
        PodNetwork { name, address }
    }
}

// === impl PodNetwork ===

impl PodNetwork {
    /// The Pod's address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The file that names the namespace.
    pub(crate) fn namespace(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // The pair of devices goes with it.
        let _gone = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

fn ip(arguments: &str) {
    succeed(Command::new("ip").args(arguments.split(' ')));
}
