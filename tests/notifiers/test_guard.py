"""Which addresses may be connected to, and that it is those that were judged."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from dagsched.notifiers.guard import AddressDenied, Transport, is_open
from tests.notifiers.receivers import web

CLOSED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
    "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_only_this_machine_can_reach_is_closed(address):
    assert not is_open(address)


OPEN = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", OPEN)
def test_an_address_that_anybody_can_reach_is_open(address):
    assert is_open(address)


async def get(url: str, *, allow_private: bool = False) -> httpx.Response:
    async with httpx.AsyncClient(transport=Transport(allow_private=allow_private)) as client:
        return await client.post(url)


def test_a_name_is_looked_up_once_and_the_judged_address_connected_to(monkeypatch):
    """A name server that says a public address first and a private one after (DNS rebinding) gains nothing."""
    asked = []

    def getaddrinfo(host, port, *rest, **more):
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected = []

    async def connect(self, host, port, *rest, **more):
        connected.append(host)
        raise __import__("httpcore").ConnectError("this test reaches nothing")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("httpcore.AnyIOBackend.connect_tcp", connect)
    with pytest.raises(httpx.TransportError):
        asyncio.run(get("http://rebound.example.com/"))
    assert (asked, connected) == (["rebound.example.com"], ["93.184.215.14"])


def test_of_several_addresses_only_open_ones_are_tried(monkeypatch):
    def getaddrinfo(host, port, *rest, **more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("10.0.0.1", "192.168.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(AddressDenied, match=r"10.0.0.1, 192.168.0.1"):
        asyncio.run(get("http://inside.example.com/"))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:7f00:1]"])
def test_odd_spellings_of_this_machine_are_this_machine(host):
    with pytest.raises((AddressDenied, httpx.TransportError, httpx.InvalidURL)) as caught:
        asyncio.run(get(f"http://{host}:9/"))
    assert not isinstance(caught.value, httpx.TransportError) or "look up" in str(caught.value)


def test_allowed_addresses_are_reached():
    with web() as server:
        assert asyncio.run(get(server.url, allow_private=True)).status_code == 204
