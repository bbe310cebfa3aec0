"""PROXY headers, and a balancer that puts one in front of what it relays to an SSH listener."""

import ipaddress
import socket
import struct

from lib.ssh_relay import Relay

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

#: The tests' balancer and the visitors that it speaks of. Whoever comes from 127.0.0.1 is none.
BALANCER = "127.0.0.2"
BALANCERS = {kind: ["127.0.0.2/32", "2001:db8::/32"] for kind in ("ssh", "http", "https", "tcp")}


def v1(source="192.0.2.7", destination="203.0.113.1", source_port=4711, destination_port=443):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def v2(source="192.0.2.7", destination="203.0.113.1", source_port=4711, destination_port=443,
       extensions=b""):
    addresses = (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
                 + struct.pack(">HH", source_port, destination_port) + extensions)
    family = 0x21 if ":" in source else 0x11
    return SIGNATURE + struct.pack(">BBH", 0x21, family, len(addresses)) + addresses


#: A header of a health check: the balancer speaks for itself.
V2_LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


class Balancer(Relay):
    """In front of the SSH listener; each connection begins with `header`, byte by byte if slow."""

    def __init__(self, gateway, header, slow=False):
        self.header = header
        self.slow = slow
        super().__init__(gateway)

    def _connect(self):
        sock = socket.create_connection(self.target, source_address=(BALANCER, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in ([bytes([b]) for b in self.header] if self.slow else [self.header]):
            sock.sendall(piece)
        return sock
