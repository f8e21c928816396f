//! Which addresses a link from outside may lead to.
//!
//! A vendor's reply names where its pictures are, and a name can resolve to anything. Easel follows links only to
//! addresses of the open internet, so that no reply reaches into the network that Easel runs in. The transport asks
//! after it has resolved the name, about the very addresses that it will dial. Nothing is resolved here.
//!
//! `ipnet` does the arithmetic of prefixes. The list of ranges is ours, because no maintained crate has it: `ip_rfc`
//! (2020) and `ip_network` (2021) let through what is refused here, such as multicast and IPv4-compatible addresses,
//! and the standard library's `is_global` is not stable. A test has every range with its first and last address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whether the address belongs to a machine, a network or a purpose of its own instead of the open internet (IANA's
/// special-purpose registries, RFC 6890 and its successors).
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => is_private_v4(inner),
            None => is_private_v6(ip),
        },
    }
}

/// A network in IPv4, as IANA's registry writes it.
const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

/// A network in IPv6.
const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// Every row of IANA's IPv4 Special-Purpose Address Registry, including the rows that routers carry, because no vendor
/// is there; and the two ranges whose addresses belong to no single machine.
const SPECIAL_V4: [Ipv4Net; 18] = [
    v4(0, 0, 0, 8),       // this network: RFC 791
    v4(10, 0, 0, 8),      // private: RFC 1918
    v4(100, 64, 0, 10),   // shared by a carrier's customers: RFC 6598
    v4(127, 0, 0, 8),     // loopback: RFC 1122
    v4(169, 254, 0, 16),  // link-local, clouds' metadata among it: RFC 3927
    v4(172, 16, 0, 12),   // private: RFC 1918
    v4(192, 0, 0, 24),    // protocol assignments: RFC 6890
    v4(192, 0, 2, 24),    // documentation: RFC 5737
    v4(192, 31, 196, 24), // AS112: RFC 7535
    v4(192, 52, 193, 24), // multicast tunnels: RFC 7450
    v4(192, 88, 99, 24),  // 6to4 relays: RFC 7526
    v4(192, 168, 0, 16),  // private: RFC 1918
    v4(192, 175, 48, 24), // AS112: RFC 7534
    v4(198, 18, 0, 15),   // benchmarks: RFC 2544
    v4(198, 51, 100, 24), // documentation: RFC 5737
    v4(203, 0, 113, 24),  // documentation: RFC 5737
    v4(224, 0, 0, 4),     // multicast: RFC 5771
    v4(240, 0, 0, 4),     // reserved, and broadcast: RFC 1112, RFC 8190
];

/// The rows of IANA's IPv6 registry that lie within [`OPEN_V6`]. Everything outside of that range is special.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 0, 23), // protocol assignments: RFC 2928; Teredo (RFC 4380) and ORCHID (RFC 7343) among them
    v6(0x2001, 0xdb8, 0, 32), // documentation: RFC 3849
    v6(0x2620, 0x4f, 0x8000, 48), // AS112: RFC 7534
    v6(0x3fff, 0, 0, 20), // documentation: RFC 9637
];

/// Global unicast, the only range that IANA gives to the open internet: RFC 4291, and IANA's registry of IPv6 address
/// space.
const OPEN_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

fn is_private_v4(ip: Ipv4Addr) -> bool {
    SPECIAL_V4.iter().any(|network| network.contains(&ip))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    !OPEN_V6.contains(&ip) || SPECIAL_V6.iter().any(|network| network.contains(&ip))
}

/// The IPv4 address inside an IPv6 one that only stands for it: mapped, or behind NAT64 (`64:ff9b::/96`) or 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => Some(of(high, low)),
        (0x2002, _) => Some(of(b, c)),
        _ => ip.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last address of each range, and where the range is from.
    const PRIVATE: &[(&str, &str, &str)] = &[
        ("0.0.0.0", "0.255.255.255", "RFC 791"),
        ("10.0.0.0", "10.255.255.255", "RFC 1918"),
        ("100.64.0.0", "100.127.255.255", "RFC 6598"),
        ("127.0.0.0", "127.255.255.255", "RFC 1122"),
        ("169.254.0.0", "169.254.255.255", "RFC 3927"),
        ("172.16.0.0", "172.31.255.255", "RFC 1918"),
        ("192.0.0.0", "192.0.0.255", "RFC 6890"),
        ("192.0.2.0", "192.0.2.255", "RFC 5737"),
        ("192.31.196.0", "192.31.196.255", "RFC 7535"),
        ("192.52.193.0", "192.52.193.255", "RFC 7450"),
        ("192.88.99.0", "192.88.99.255", "RFC 7526"),
        ("192.168.0.0", "192.168.255.255", "RFC 1918"),
        ("192.175.48.0", "192.175.48.255", "RFC 7534"),
        ("198.18.0.0", "198.19.255.255", "RFC 2544"),
        ("198.51.100.0", "198.51.100.255", "RFC 5737"),
        ("203.0.113.0", "203.0.113.255", "RFC 5737"),
        ("224.0.0.0", "239.255.255.255", "RFC 5771"),
        ("240.0.0.0", "255.255.255.254", "RFC 1112"),
        ("255.255.255.255", "255.255.255.255", "RFC 8190"),
        ("::", "::", "RFC 4291, unspecified"),
        ("::1", "::1", "RFC 4291, loopback"),
        ("::0.0.0.2", "::255.255.255.255", "RFC 4291, IPv4-compatible"),
        ("::1.1.1.1", "::8.8.8.8", "RFC 4291, IPv4-compatible, whatever is inside"),
        ("::ffff:10.0.0.0", "::ffff:10.255.255.255", "RFC 4291, IPv4-mapped, and RFC 1918"),
        ("::ffff:127.0.0.1", "::ffff:169.254.169.254", "RFC 4291, IPv4-mapped"),
        ("::ffff:0:1.1.1.1", "::ffff:0:8.8.8.8", "RFC 2765, IPv4-translated"),
        ("64:ff9b::10.0.0.0", "64:ff9b::10.255.255.255", "RFC 6052, NAT64, and RFC 1918"),
        ("64:ff9b::192.88.99.1", "64:ff9b::198.18.0.1", "RFC 6052, NAT64"),
        ("64:ff9b:0:1::", "64:ff9b:0:ffff::", "next to RFC 6052's prefix"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "RFC 8215"),
        ("100::", "100::ffff:ffff:ffff:ffff", "RFC 6666"),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "RFC 9780"),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4380, Teredo"),
        ("2001:1::1", "2001:1::3", "RFC 7723, RFC 8155, RFC 9665"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "RFC 5180"),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 7450"),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "RFC 7535"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4843, ORCHID"),
        ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 7343, ORCHIDv2"),
        ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 9374"),
        ("2001:1ff:ffff::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 2928"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 3849"),
        ("2002:a00:0::", "2002:aff:ffff:ffff::", "RFC 3056, 6to4, and RFC 1918"),
        ("2002:7f00:1::", "2002:a9fe:a9fe::", "RFC 3056, 6to4"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "RFC 7534"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 9637"),
        ("4000::", "4000::1", "not given to anybody, RFC 4291"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 9602"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4193"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4291"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 3879"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4291"),
    ];

    /// What is next to them, and well-known machines.
    const OPEN: &[&str] = &[
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.1",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:db7:ffff::",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2620:4f:7fff::",
        "2620:4f:8001::",
        "3ffe:ffff::",
        "3fff:1000::",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:808:808::",
    ];

    #[test]
    fn only_addresses_of_the_open_internet_are_not_private() {
        for (first, last, from) in PRIVATE {
            assert!(is_private(first.parse().unwrap()), "{first}: {from}");
            assert!(is_private(last.parse().unwrap()), "{last}: {from}");
        }
        for text in OPEN {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }
}
