"""Nonsense from outside makes a clear event and disturbs nobody else."""

import asyncio
import json

import pytest
import websockets

from charger import utc_text
from site_harness import SAFE, until


@pytest.fixture
async def witness(site):
    """A charger that charges all the while and must not notice anything."""
    charger = site.chargers[8]
    for other in site.chargers[1:]:  # CP-01 is left for nonsense
        await other.connect()
    await charger.plug_in("WITNESS")
    await until(lambda: SAFE < charger.current(), 30, "the witness charges", site.daemon)
    yield charger
    assert charger.online, "the witness was disconnected"
    answer = await charger.heartbeat()
    assert answer.current_time
    assert len({frame.link for frame in charger.frames}) == 1


def raw(site, identity="CP-01", **more):
    return websockets.connect(f"{site.daemon.ocpp_url}/{identity}", subprotocols=["ocpp1.6"],
                              ping_interval=None, max_size=None, compression=None, **more)


async def heartbeat(socket):
    await socket.send('[2,"hb","Heartbeat",{}]')
    while True:
        parts = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if parts[0] == 3 and parts[1] == "hb":
            return parts[2]


async def answer_to(socket, text, unique_id):
    await socket.send(text)
    while True:
        parts = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if parts[0] in (3, 4) and parts[1] == unique_id:
            return parts


async def test_unknown_identity_is_404(site, witness):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await raw(site, "STRANGER-7")
    assert refused.value.response.status_code == 404
    await site.daemon.sees("link.unknown_identity", "STRANGER-7")


@pytest.mark.parametrize("text", ["not json", "{}", "[]", "[2]", '[2,"a"]', '[9,"a","b",{}]',
                                  '[2,5,"Heartbeat",{}]', '[2,"a","Heartbeat"', "null",
                                  "[" * 2000, '[3,"never-asked",{}]', '[4,"never-asked"]'])
async def test_a_broken_frame_costs_nobody_the_link(site, witness, text):
    async with raw(site) as socket:
        await socket.send(text)
        assert "currentTime" in await heartbeat(socket)


async def test_a_broken_frame_is_an_event(site, witness):
    async with raw(site) as socket:
        await socket.send("this is no frame")
        await site.daemon.sees("ocpp.refused", "CP-01")


async def test_an_unknown_action_is_answered_not_implemented(site, witness):
    async with raw(site) as socket:
        parts = await answer_to(socket, '[2,"q","MakeCoffee",{}]', "q")
        assert parts[0] == 4 and parts[2] == "NotImplemented"


async def test_a_call_with_a_missing_field_is_answered(site, witness):
    async with raw(site) as socket:
        parts = await answer_to(socket, '[2,"q","Authorize",{}]', "q")
        assert parts[0] in (3, 4)
        body = {"connectorId": "1", "idTag": "T", "meterStart": 12.7, "timestamp": utc_text(),
                "surplus": {"deep": [1]}}
        parts = await answer_to(socket, json.dumps([2, "s", "StartTransaction", body]), "s")
        assert parts[0] == 3 and 0 < parts[2]["transactionId"], "a start is never refused"


async def test_a_frame_of_3_mb_ends_that_link_alone(site, witness):
    async with raw(site) as socket:
        assert await heartbeat(socket)
        with pytest.raises(websockets.ConnectionClosed):
            await socket.send('[2,"big","DataTransfer",{"data":"' + "x" * 3_000_000 + '"}]')
            while True:
                await asyncio.wait_for(socket.recv(), 10)
    async with raw(site) as socket:
        assert await heartbeat(socket), "it may come back at once"


async def test_binary_frames_do_no_harm(site, witness):
    async with raw(site) as socket:
        await socket.send(b"\x00\xff\x00")
        try:
            await heartbeat(socket)
        except websockets.ConnectionClosed:
            pass
    async with raw(site) as socket:
        assert await heartbeat(socket)


async def test_of_two_with_one_identity_the_newest_is_used(site, witness):
    async with raw(site) as old:
        assert await heartbeat(old)
        async with raw(site) as new:
            assert await heartbeat(new)
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(old.recv(), 10)
            assert await heartbeat(new)
            await site.daemon.sees("link.replaced", "CP-01")


async def test_a_client_that_is_no_websocket_is_told_off(site, witness):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.daemon.ports["ocpp"])
    writer.write(b"GET /ocpp/CP-01 HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(200), 15)
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    writer.close()


@pytest.mark.parametrize("payload", [b"{broken", b"[]", b'{"current":{"l1":"many"}}', b"\xff\xfe",
                                     b"", b'{"current":{"l1":null,"l2":1,"l3":1}}'])
async def test_an_unreadable_reading_is_an_event(site, witness, payload):
    site.meter.send(payload)
    await site.daemon.sees("meter.unreadable", "grid")


async def test_a_wrong_topic_reaches_nobody(site, witness):
    site.meter.send(b'{"current":{"l1":500,"l2":500,"l3":500}}', topic="site/other")
    await asyncio.sleep(1)
    assert witness.current() > 0
    await until(lambda: witness.limit() > 20, 30, "the witness keeps its limit", site.daemon)


async def test_an_absurd_reading_does_not_stop_the_daemon(site, witness):
    for number in ("1e308", "-1e308", "1e12", "0"):
        text = f'{{"current":{{"l1":{number},"l2":{number},"l3":{number}}}}}'
        site.meter.send(text.encode())
        await witness.heartbeat()
