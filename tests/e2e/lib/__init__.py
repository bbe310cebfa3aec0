"""The harness of the end-to-end tests: the gateway, its SSH clients, its visitors and its upstreams."""
