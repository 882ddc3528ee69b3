# SPDX-License-Identifier: Apache-2.0
"""Frames that a hostile pod sends, each with what must become of it.

Nearly every frame carries MARK, so that a victim's capture is easily searched for it. scapy builds
them; what scapy would mend (lengths, checksums) is set by hand where the attack is in it.
"""

import dataclasses
import logging

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

MARK = b"BULKHEAD-MARK"
OPEN, CLOSED = 53, 8080  # the victim's UDP ports that policy allows and denies
OPEN_TCP, CLOSED_TCP = 80, 443
BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclasses.dataclass
class End:
    """Addresses of somebody on the bridge."""

    mac: str
    ip4: str
    ip6: str


@dataclasses.dataclass
class Attack:
    name: str
    reason: str  # the word that Bulkhead must count it under
    frames: list
    delivered: bool = True  # without Bulkhead the victim's interface would see it


def _bytes(packets):
    return [bytes(p) for p in packets]


def _padded(packet):
    """ARP has no payload: the mark rides in the padding of the frame."""
    return packet / Raw(b"\0" * 2 + MARK)


def build(me, victim, other, gateway):
    """All attacks of `me` on `victim`; `other` is a third pod, `gateway` the bridge."""

    def eth(source=me.mac, to=victim.mac, **rest):
        return Ether(src=source, dst=to, **rest)

    def ip4(source=me.ip4, **rest):
        return IP(src=source, dst=victim.ip4, **rest)

    def ip6(source=me.ip6, **rest):
        return IPv6(src=source, dst=victim.ip6, **rest)

    mark = Raw(MARK)
    allowed, denied = UDP(sport=4000, dport=OPEN), UDP(sport=4000, dport=CLOSED)

    def attack(name, reason, *packets, **rest):
        return Attack(name, reason, _bytes(packets), **rest)

    return [
        attack(
            "another pod's IPv4 address",
            "spoofed-ip",
            eth() / ip4(other.ip4) / allowed / mark,
            eth() / ip4("192.0.2.7") / allowed / mark,
        ),
        attack("another pod's IPv6 address", "spoofed-ip", eth() / ip6(other.ip6) / allowed / mark),
        attack("the node's address", "spoofed-ip", eth() / ip4(gateway.ip4) / denied / mark),
        attack(
            "another pod's MAC address",
            "spoofed-mac",
            eth(other.mac) / ip4() / allowed / mark,
            eth(other.mac) / ip6() / allowed / mark,
        ),
        attack(
            "ARP reply for the gateway",
            "spoofed-arp",
            _padded(
                eth() / ARP(op=2, hwsrc=me.mac, psrc=gateway.ip4, hwdst=victim.mac, pdst=victim.ip4)
            ),
        ),
        attack(
            "gratuitous ARP for another pod",
            "spoofed-arp",
            _padded(eth(to=BROADCAST) / ARP(op=1, hwsrc=me.mac, psrc=other.ip4, pdst=other.ip4)),
        ),
        attack(
            "ARP with another MAC inside",
            "spoofed-arp",
            _padded(
                eth() / ARP(op=2, hwsrc=other.mac, psrc=me.ip4, hwdst=victim.mac, pdst=victim.ip4)
            ),
        ),
        attack(
            "malformed ARP",
            "arp-malformed",
            _padded(eth() / ARP(op=2, hwlen=7, hwsrc=me.mac, psrc=me.ip4, pdst=victim.ip4)),
        ),
        attack(
            "neighbour advertisement for another pod",
            "spoofed-nd",
            eth()
            / ip6(hlim=255)
            / ICMPv6ND_NA(tgt=other.ip6, R=0, S=0, O=1)
            / ICMPv6NDOptDstLLAddr(lladdr=me.mac),
        ),
        attack(
            "neighbour advertisement with another MAC",
            "spoofed-nd",
            eth()
            / ip6(hlim=255)
            / ICMPv6ND_NA(tgt=me.ip6, R=0, S=0, O=1)
            / ICMPv6NDOptDstLLAddr(lladdr=other.mac),
        ),
        attack(
            "neighbour advertisement from afar",
            "nd-malformed",
            eth()
            / ip6(hlim=64)
            / ICMPv6ND_NA(tgt=me.ip6, R=0, S=0, O=1)
            / ICMPv6NDOptDstLLAddr(lladdr=me.mac),
        ),
        attack(
            "router advertisement",
            "router-advert",
            eth(to="33:33:00:00:00:01")
            / IPv6(src="fe80::bad", dst="ff02::1", hlim=255)
            / ICMPv6ND_RA(routerlifetime=1800)
            / ICMPv6NDOptPrefixInfo(prefix="fd66::", prefixlen=64)
            / mark,
            eth() / ip6(hlim=255) / ICMPv6ND_Redirect(tgt=me.ip6, dst="2001:db8::1") / mark,
        ),
        attack(
            "DHCP offer",
            "rogue-dhcp",
            eth()
            / ip4()
            / UDP(sport=67, dport=68)
            / BOOTP(op=2, yiaddr="10.88.0.250", siaddr=me.ip4, chaddr=b"\2\0\0\0\0\1")
            / DHCP(options=[("message-type", "offer"), ("router", me.ip4), "end"])
            / mark,
        ),
        attack(
            "first fragment without its TCP header",
            "fragment-tiny",
            eth() / ip4(flags="MF", id=77, proto=6) / Raw(bytes(TCP(dport=OPEN_TCP))[:8]),
        ),
        attack(
            "first IPv6 fragment without its TCP header",
            "fragment-tiny",
            eth()
            / ip6()
            / IPv6ExtHdrFragment(m=1, id=78, nh=6)
            / Raw(bytes(TCP(dport=OPEN_TCP))[:8]),
        ),
        attack(
            "later fragment before its first",
            "fragment-no-first",
            eth() / ip4(frag=64, id=79, proto=17) / Raw(MARK + b"x" * 19),
            eth()
            / ip6()
            / IPv6ExtHdrFragment(offset=64, m=0, id=80, nh=17)
            / Raw(MARK + b"x" * 19),
        ),
        attack(
            "fragments of a datagram to a closed port",
            "isolated",
            eth() / ip4(flags="MF", id=81, proto=17) / Raw(bytes(denied)[:8] + MARK + b"x" * 11),
        ),
        attack(
            "fragment that overwrites the ports of its first",
            "fragment-tiny",
            eth() / ip4(frag=1, id=82, proto=6) / Raw(MARK + b"x" * 11),
        ),
        attack(
            "VLAN tag in front of a closed port",
            "isolated",
            eth() / Dot1Q(vlan=0) / ip4() / denied / mark,
        ),
        attack(
            "three VLAN tags",
            "vlan-depth",
            eth() / Dot1Q(vlan=0) / Dot1Q(vlan=0) / Dot1Q(vlan=0) / ip4() / allowed / mark,
        ),
        attack("unknown ethertype", "ethertype", eth(type=0x88B5) / mark),
        attack(
            "header length of four words",
            "ip-header",
            eth() / ip4(ihl=4, len=20 + 8 + len(MARK)) / allowed / mark,
        ),
        attack(
            "header length beyond the packet",
            "ip-header",
            eth() / ip4(ihl=15, len=20 + 8 + len(MARK)) / allowed / mark,
        ),
        attack(
            "total length beyond the frame",
            "ip-header",
            eth() / ip4(len=1400) / allowed / mark,
            eth() / ip6(plen=1400) / allowed / mark,
        ),
        attack("IP version 5", "ip-header", eth(type=0x800) / ip4(version=5) / allowed / mark),
        attack(
            "twelve extension headers",
            "extension-headers",
            _stacked(eth() / ip6(), 12) / allowed / mark,
        ),
        attack(
            "routing header type 0",
            "extension-headers",
            eth() / ip6() / IPv6ExtHdrRouting(type=0, addresses=[other.ip6]) / allowed / mark,
        ),
        attack(
            "cut in the transport header",
            "l4-header",
            eth() / ip4(proto=17, len=24) / Raw(bytes(allowed)[:4] + MARK),
        ),
        attack(
            "SYN and FIN at once",
            "tcp-flags",
            eth() / ip4() / TCP(sport=4001, dport=OPEN_TCP, flags="SF") / mark,
            eth() / ip6() / TCP(sport=4001, dport=OPEN_TCP, flags="SF") / mark,
        ),
        attack(
            "mid-stream segment to a closed port",
            "isolated",
            eth() / ip4() / TCP(sport=4002, dport=CLOSED_TCP, flags="A", seq=7, ack=9) / mark,
            eth() / ip6() / TCP(sport=4002, dport=CLOSED_TCP, flags="PA", seq=7, ack=9) / mark,
        ),
        attack(
            "SYN-ACK nobody asked for",
            "isolated",
            eth() / ip4() / TCP(sport=OPEN_TCP, dport=CLOSED_TCP, flags="SA", seq=7, ack=9) / mark,
        ),
        attack(
            "reset out of nowhere",
            "isolated",
            eth() / ip4() / TCP(sport=4003, dport=CLOSED_TCP, flags="R", seq=7) / mark,
        ),
        attack(
            "ICMP error about no flow",
            "icmp-no-flow",
            eth()
            / ip4()
            / ICMP(type=3, code=1)
            / IPerror(src=victim.ip4, dst=me.ip4)
            / UDPerror(sport=9, dport=9)
            / mark,
            eth()
            / ip4()
            / ICMP(type=3, code=4, nexthopmtu=68)
            / IPerror(src=victim.ip4, dst=other.ip4)
            / TCPerror(sport=OPEN_TCP, dport=4000)
            / mark,
            eth()
            / ip6()
            / ICMPv6DestUnreach()
            / IPv6(src=victim.ip6, dst=me.ip6)
            / UDP(sport=9, dport=9)
            / mark,
        ),
        attack(
            "echo reply nobody asked for", "icmp-no-flow", eth() / ip4() / ICMP(type=0, id=5) / mark
        ),
        attack(
            "closed port",
            "isolated",
            eth() / ip4() / denied / mark,
            eth() / ip6() / denied / mark,
            eth() / ip4(proto=47) / mark,
        ),
    ]


def _stacked(packet, count):
    for _ in range(count):
        packet = packet / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
    return packet


def legitimate(me, victim):
    """What must pass to open ports: fragments in order, options, an extension header, a tag."""
    mark = MARK + b"y" * 19
    datagram = bytes(UDP(sport=4100, dport=OPEN, len=8 + 64 + 32, chksum=0) / Raw(b"z" * 64))
    v4, v6 = IP(src=me.ip4, dst=victim.ip4), IPv6(src=me.ip6, dst=victim.ip6)
    eth = Ether(src=me.mac, dst=victim.mac)
    first4 = IP(src=me.ip4, dst=victim.ip4, flags="MF", id=90, proto=17)
    last4 = IP(src=me.ip4, dst=victim.ip4, frag=9, id=90, proto=17)
    return [
        (
            "fragments in order",
            _bytes([eth / first4 / Raw(datagram[:72]), eth / last4 / Raw(mark)]),
        ),
        (
            "IPv6 fragments in order",
            _bytes(
                [
                    eth / v6 / IPv6ExtHdrFragment(m=1, id=91, nh=17) / Raw(datagram[:72]),
                    eth / v6 / IPv6ExtHdrFragment(offset=9, m=0, id=91, nh=17) / Raw(mark),
                ]
            ),
        ),
        (
            "IPv4 options",
            _bytes(
                [
                    eth
                    / IP(src=me.ip4, dst=victim.ip4, options=b"\1\1\1\0")
                    / UDP(sport=4101, dport=OPEN)
                    / Raw(mark)
                ]
            ),
        ),
        (
            "destination options",
            _bytes(
                [
                    eth
                    / v6
                    / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
                    / UDP(sport=4102, dport=OPEN)
                    / Raw(mark)
                ]
            ),
        ),
        (
            "priority tag",
            _bytes([eth / Dot1Q(vlan=0, prio=3) / v4 / UDP(sport=4103, dport=OPEN) / Raw(mark)]),
        ),
        ("a plain datagram", _bytes([eth / v4 / UDP(sport=4104, dport=OPEN) / Raw(mark)])),
    ]
