"""
Writes small MaxMind DB files (https://maxmind.github.io/MaxMind-DB/): no Debian package does.

`mmdb.py FOLDER` writes the samples that tests/unit/policy/test_geo.c reads.
"""

import ipaddress
import struct
import sys
from pathlib import Path

METADATA_MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)


class Uint16(int):
    """An int that is stored in 16 bits; others have 32."""


class Uint64(int):
    """An int that is stored in 64 bits."""


def _control(kind, size):
    """The bytes in front of a value; kinds above 7 do not fit the first."""
    extra = b""
    if size >= 285:
        raise ValueError("no sample needs a value that long")
    if size >= 29:
        size, extra = 29, bytes([size - 29])
    if kind > 7:
        return bytes([size, kind - 7]) + extra
    return bytes([kind << 5 | size]) + extra


def _encode_int(value):
    kind = 5 if isinstance(value, Uint16) else 9 if isinstance(value, Uint64) else 6
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(raw)) + raw


def encode(value):
    """A value of the data section: dict, list, str, bytes (a string of any bytes), bool, int, float."""
    if isinstance(value, bool):
        return _control(14, int(value))
    if isinstance(value, int):
        return _encode_int(value)
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, (str, bytes)):
        raw = value.encode() if isinstance(value, str) else value
        return _control(2, len(raw)) + raw
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encode, value))
    items = b"".join(encode(k) + encode(v) for k, v in value.items())
    return _control(7, len(value)) + items


def _bits(network, ip_version):
    """The path through the tree; IPv4 lies below ::/96."""
    network = ipaddress.ip_network(network)
    bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[:network.prefixlen]
    return "0" * 96 + bits if ip_version == 6 and network.version == 4 else bits


def _tree(paths):
    """Nodes as pairs of None (nothing), an int (node) or bytes (a record), from {path: record}."""
    nodes = [[None, None]]
    for path, record in sorted(paths.items()):
        at = 0
        for bit in path[:-1]:
            if nodes[at][int(bit)] is None:
                nodes.append([None, None])
                nodes[at][int(bit)] = len(nodes) - 1
            at = nodes[at][int(bit)]
        nodes[at][int(path[-1])] = record
    return nodes


def build(records, ip_version=6, database_type="Test"):
    """The bytes of a file with {network: record}; no network lies in another."""
    nodes = _tree({_bits(n, ip_version): encode(r) for n, r in records.items()})
    data, tree = b"", b""
    for node in nodes:
        for record in node:
            target = len(nodes)
            if isinstance(record, bytes):
                target += 16 + len(data)
                data += record
            elif record is not None:
                target = record
            tree += target.to_bytes(3, "big")
    metadata = {
        "node_count": len(nodes), "record_size": Uint16(24), "ip_version": Uint16(ip_version),
        "database_type": database_type, "languages": ["en"], "build_epoch": Uint64(1700000000),
        "binary_format_major_version": Uint16(2), "binary_format_minor_version": Uint16(0),
        "description": {"en": "made for tests"},
    }
    return tree + SEPARATOR + data + METADATA_MARKER + encode(metadata)


CITY = {
    "192.0.2.0/24": {
        "city": {"names": {"de": "Hintertupfing", "en": "Strongsville"}},
        "continent": {"names": {"en": "North America"}},
        "country": {"iso_code": "US", "names": {"en": "United States"}},
        "location": {"accuracy_radius": Uint16(5), "latitude": 41.31, "longitude": -81.83,
                     "metro_code": Uint16(510), "time_zone": "America/New_York"},
        "postal": {"code": "44136"},
        "registered_country": {"iso_code": "DE", "is_in_european_union": True,
                               "names": {"en": "Germany"}},
        "subdivisions": [{"names": {"en": "Ohio"}}, {"names": {"en": "Cuyahoga"}}],
    },
    "198.51.100.7/32": {"country": {"iso_code": "FR", "is_in_european_union": True}},
    "203.0.113.0/25": {"city": {"names": {"en": b"Caf\xe9"}}, "location": {"latitude": float("nan")},
                       "country": "no map", "postal": {"code": [1]}},
    "2001:db8::/32": {"city": {"names": {"en": "Sechshausen"}},
                      "location": {"latitude": 48.0, "longitude": 1e-05}},
}

ASN = {
    "192.0.2.0/24": {"autonomous_system_number": 7922,
                     "autonomous_system_organization": "COMCAST-7922",
                     "city": {"names": {"en": "another city"}}},
    "198.51.100.0/24": {"autonomous_system_number": 4294967295},
}


def main():
    folder = Path(sys.argv[1])
    (folder / "city.mmdb").write_bytes(build(CITY, 6, "GeoLite2-City"))
    (folder / "asn4.mmdb").write_bytes(build(ASN, 4, "GeoLite2-ASN"))


if __name__ == "__main__":
    main()
