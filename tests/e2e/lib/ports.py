"""
Ports that tests name. They are below those that the kernel gives to who asks for any, so none is taken by
chance; and every pytest process has a block of its own, for two gateways would share a port without
noticing (SO_REUSEPORT) when files, or whole suites, run side by side.
"""

import itertools
import socket

#: The blocks end where the ports begin that the kernel gives away (net.ipv4.ip_local_port_range).
BLOCK_PORTS = 1024
BLOCKS = range(12 * BLOCK_PORTS, 32 * BLOCK_PORTS, BLOCK_PORTS)


def _take_block():
    """The first port of a block, and the socket that keeps it ours: its name can be had by one process."""
    for first in BLOCKS:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0sallyport tests, port {first}")
            return first, claim
        except OSError:
            claim.close()
    raise RuntimeError(f"{len(BLOCKS)} pytest processes have all blocks of ports")


_first, _claim = _take_block()

#: First and last port of what gateways give out, of what their users name, and of other programs.
RANDOM = (_first, _first + 255)
FIXED = (_first + 256, _first + 767)
OTHERS = (_first + 768, _first + BLOCK_PORTS - 1)

#: The ports in the configuration of a gateway.
TCP_PORTS = {"ports": "%d-%d" % RANDOM, "fixed_ports": "%d-%d" % FIXED, "listen": ["127.0.0.1"]}

_turns = {part: itertools.cycle(range(part[0], part[1] + 1)) for part in (FIXED, OTHERS)}


def free_port(part=OTHERS):
    """A port of loopback where nothing listens. It comes again when all others of its part had their turn."""
    for port in itertools.islice(_turns[part], part[1] - part[0] + 1):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError(f"none of the ports {part[0]}-{part[1]} is free")
