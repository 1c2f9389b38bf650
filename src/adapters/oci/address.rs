//! Which IP addresses we talk to, and from where.
//!
//! An image name, a redirect and a token realm are all written by somebody else, so each of them could make us knock at an
//! address that only this Pod can reach (server-side request forgery, CVE-2026-33540 and kin; T-53). An address has a
//! [`Class`], and where it was named decides the [`Scope`] that it is measured against.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address this is, as far as it matters to us.
///
/// In the order of how much such a host may lead us to: the greatest of several classes is the careful choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::adapters) enum Class {
    /// This machine.
    Loopback,
    /// RFC 1918, RFC 6598, unique local: inside somebody's network.
    Private,
    /// Anything else.
    Public,
    /// Link-local, cloud metadata, unspecified, multicast, reserved: never talked to.
    Forbidden,
}

/// Who named the address, and so which classes are acceptable. The greater, the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// The registry as it is written in the image (or a hop that stays on that host, or that starts on loopback).
    AsWritten,
    /// A redirect or realm named by a host with a private address.
    FromPrivate,
    /// A redirect or realm named by a public host, or by one whose address we do not know.
    FromPublic,
}

// === impl Class ===

impl Class {
    /// The class of an address; an IPv4 address wrapped into IPv6 counts as the IPv4 address.
    pub(in crate::adapters) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        /// Metadata services outside of link-local: Alibaba Cloud, Azure's wire server.
        const METADATA: [Ipv4Addr; 2] = [
            Ipv4Addr::new(100, 100, 100, 200),
            Ipv4Addr::new(168, 63, 129, 16),
        ];
        match address.octets() {
            // "This network", link-local, IETF assignments (Oracle's metadata is 192.0.0.192), multicast, reserved.
            [0 | 224..=255, ..] | [169, 254, ..] | [192, 0, 0, _] => Self::Forbidden,
            _ if METADATA.contains(&address) => Self::Forbidden,
            [127, ..] => Self::Loopback,
            // RFC 1918, shared address space (RFC 6598), benchmarking (RFC 2544).
            [10, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [100, 64..=127, ..]
            | [198, 18..=19, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        /// Metadata services with unique local addresses: EC2, GCE.
        const METADATA: [Ipv6Addr; 2] = [
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
            Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        ];
        let [first, ..] = address.segments();
        match first {
            _ if address.is_loopback() => Self::Loopback,
            _ if address.is_unspecified() || METADATA.contains(&address) => Self::Forbidden,
            // Link-local and multicast.
            0xfe80..=0xfebf | 0xff00..=0xffff => Self::Forbidden,
            // Unique local, and the site-local addresses that came before them.
            0xfc00..=0xfdff | 0xfec0..=0xfeff => Self::Private,
            _ => Self::Public,
        }
    }
}

/// The IPv4 address inside `::ffff:a.b.c.d`, `::a.b.c.d`, `64:ff9b::a.b.c.d` (NAT64) or `2002:ab:cd::` (6to4).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last),
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

// === impl Scope ===

impl Scope {
    /// The scope of what a host with an address of this class names.
    pub(super) fn of_hop_from(origin: Class) -> Self {
        match origin {
            Class::Loopback => Self::AsWritten,
            Class::Private => Self::FromPrivate,
            Class::Public | Class::Forbidden => Self::FromPublic,
        }
    }

    /// Whether an address of `class` may be talked to; the error says which rule forbids it.
    pub(super) fn admits(self, class: Class) -> Result<(), &'static str> {
        match (class, self) {
            (Class::Forbidden, _) => {
                Err("link-local, metadata and reserved addresses are never contacted")
            }
            (Class::Loopback, Self::FromPrivate | Self::FromPublic) => {
                Err("a host that is not on loopback may not lead to loopback")
            }
            (Class::Private, Self::FromPublic) => {
                Err("a public host may not lead to a private address")
            }
            (Class::Loopback | Class::Private | Class::Public, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str) -> Class {
        Class::of(address.parse().unwrap())
    }

    #[test]
    fn link_local_and_metadata_addresses_are_forbidden_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
        ] {
            assert_eq!(class(address), Class::Forbidden, "{address}");
        }
    }

    #[test]
    fn loopback_private_and_public_are_told_apart() {
        for address in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(class(address), Class::Loopback, "{address}");
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "::ffff:10.1.2.3",
        ] {
            assert_eq!(class(address), Class::Private, "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "192.0.2.1",
        ] {
            assert_eq!(class(address), Class::Public, "{address}");
        }
    }

    #[test]
    fn a_hop_reaches_no_further_than_its_origin() {
        let from_public = Scope::of_hop_from(Class::Public);
        assert!(from_public.admits(Class::Public).is_ok());
        assert!(from_public.admits(Class::Private).is_err());
        assert!(from_public.admits(Class::Loopback).is_err());
        let from_private = Scope::of_hop_from(Class::Private);
        assert!(from_private.admits(Class::Private).is_ok());
        assert!(from_private.admits(Class::Loopback).is_err());
        assert!(
            Scope::of_hop_from(Class::Loopback)
                .admits(Class::Loopback)
                .is_ok()
        );
        assert!(Scope::AsWritten.admits(Class::Forbidden).is_err());
    }
}
