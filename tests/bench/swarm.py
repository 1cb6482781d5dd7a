"""Many agents in one process, as far as the wire tells: TLS, signed hello, jobs taken, fetched and reported.

    python -m tests.bench.swarm URL CA NODES     NODES: a file, one node id a line; the key is `tests.bench.swarm.KEY`

Prints a line once all are connected, then goes on until its standard input ends. They share one key, which changes
nothing for the server: it looks each node's key up and verifies every signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent import crypto
from agent.contract import frames, sshsig, wire
from agent.contract.canonical import canonical, digest, digest_of, instant
from agent.contract.codec import from_wire, to_wire
from agent.contract.job import FEATURE, Accepted, Job

KEY = bytes(range(32))
AT_ONCE = 100
"""Handshakes at a time."""


class Member:
    """One agent's conversation."""

    def __init__(self, node_id: str, signer: crypto.Signer) -> None:
        self._id, self._signer = node_id, signer
        self._seq = 0
        self._waiting: dict[str, list[Job]] = {}
        self._streams: dict[int, str] = {}

    async def greet(self, socket: ClientConnection) -> None:
        """The handshake."""
        _, value = frames.read_control(str(await socket.recv()))
        challenge = frames.plain("challenge", value)
        assert isinstance(challenge, wire.Challenge)
        secure = socket.transport.get_extra_info("ssl_object")
        hello = to_wire(self._hello())
        transcript = wire.Transcript(
            fleet_id=challenge.fleet_id,
            server_fingerprint=digest(secure.getpeercert(True)),
            node_id=self._id,
            server_nonce=challenge.nonce,
            agent_nonce="0" * 32,
            protocol=wire.PROTOCOL,
            hello_digest=digest_of(hello),
        )
        signed = self._signer.sign(sshsig.HELLO, canonical(to_wire(transcript)))
        await socket.send(json.dumps({"type": "hello", "hello": hello, "nonce": "0" * 32, "signed": to_wire(signed)}))
        name, value = frames.read_control(str(await socket.recv()))
        assert name == "welcome", value

    async def serve(self, socket: ClientConnection) -> None:
        """Take jobs, and say at once that they succeeded, until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                if isinstance(data, bytes):
                    await self._chunk(socket, frames.unpack(data))
                else:
                    await self._control(socket, *frames.read_control(data))

    async def _control(self, socket: ClientConnection, name: str, value: dict[str, Any]) -> None:
        if name == "job":
            signed = frames.signed_of(value)
            job: Job = from_wire(Job, json.loads(sshsig_payload(signed)), "job")
            await socket.send(frames.control(Accepted(str(job.envelope.job_id))))
            self._waiting.setdefault(job.body_digest, []).append(job)
            await socket.send(frames.control(wire.Fetch([job.body_digest])))
        elif name == "stream":
            stream = frames.plain("stream", value)
            assert isinstance(stream, wire.Stream)
            self._streams[stream.stream] = stream.digest

    async def _chunk(self, socket: ClientConnection, chunk: frames.StreamFrame) -> None:
        if chunk.kind == frames.END:
            for job in self._waiting.pop(self._streams.pop(chunk.stream, ""), ()):
                await socket.send(self._report(job))

    def _report(self, job: Job) -> str:
        self._seq += 1
        now, known = instant(0), str(job.envelope.job_id)
        report = wire.Report(
            protocol=wire.PROTOCOL,
            fleet_id=job.envelope.fleet_id,
            node_id=self._id,
            boot_id="b00t",
            incarnation=job.envelope.incarnation,
            seq=self._seq,
            uid=f"Job/{known}",
            generation=1,
            body_digest=job.body_digest,
            context_digest="",
            agent_version="1.0",
            status="Success",
            claims=[],
            cause="Job",
            started_at=now,
            finished_at=now,
            job_id=known,
            steps=[wire.StepReport("aws:runShellScript", "aws:runShellScript", "Success")],
        )
        return frames.signed_control("report", self._signer.sign(sshsig.REPORT, canonical(to_wire(report))))

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            node_id=self._id,
            protocol_min=wire.PROTOCOL,
            protocol_max=wire.PROTOCOL,
            agent_version="1.0",
            platform="linux",
            boot_id="b00t",
            key_generation=1,
            steps={"aws:runShellScript": 1},
            features=[FEATURE],
            incarnation=0,
            serial=0,
            facts={},
        )


def sshsig_payload(signed: wire.Signed) -> bytes:
    """What was signed; a swarm believes everybody."""
    import base64

    return base64.b64decode(signed.payload)


def public_key() -> str:
    """OpenSSH text of the key that all share."""
    return sshsig.public_text(crypto.Signer(KEY).public)


async def _swarm(url: str, ca: Path, ids: list[str]) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    signer, turns = crypto.Signer(KEY), asyncio.Semaphore(AT_ONCE)
    serving: set[asyncio.Task[None]] = set()

    async def join(node_id: str) -> None:
        member = Member(node_id, signer)
        async with turns:
            socket = await connect(url, ssl=context, compression=None, proxy=None, max_size=None, ping_interval=None)
            await member.greet(socket)
        serving.add(asyncio.create_task(member.serve(socket)))

    await asyncio.gather(*map(join, ids))
    sys.stdout.write("connected\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_swarm(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_text().split()))
