"""Counts requests on their way: count.py UPSTREAM_HOST UPSTREAM_PORT LISTEN_PORT, one line a request on stdout.

Requests are read only to tell where each ends; every byte passes as it is.
"""

import asyncio
import re
import sys

HOST, UPSTREAM, LISTEN = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CHUNK = 64 * 1024


def name(line, headers, body):
    """What is asked for: an action of AWS's, or method and path."""
    method, path = line.split(" ")[:2]
    if path.startswith("/v2/"):
        return f"registry {method}"
    form = re.search(rb"(?:^|&)Action=(\w+)", body)
    action = headers.get("x-amz-target", "").rpartition(".")[2] or (form and form[1].decode())
    return f"aws {action or method + ' ' + path}"


async def requests(reader, writer):
    """Passes requests on, one after the other, and names each."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        line, *rest = head.decode("latin-1").rstrip().split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (field.partition(":") for field in rest)}
        writer.write(head)
        left = int(headers.get("content-length", 0))
        start = await reader.read(min(left, CHUNK)) if left else b""
        print(name(line, headers, start), flush=True)
        writer.write(start)
        left -= len(start)
        while left > 0 and (part := await reader.read(min(left, CHUNK))):
            writer.write(part)
            await writer.drain()
            left -= len(part)
        while headers.get("transfer-encoding") == "chunked":
            size = await reader.readuntil(b"\r\n")
            writer.write(size)
            left = int(size.split(b";")[0], 16) + 2
            done = left == 2
            while left > 0 and (part := await reader.read(min(left, CHUNK))):
                writer.write(part)
                await writer.drain()
                left -= len(part)
            if done:
                break
        await writer.drain()


async def answers(reader, writer):
    while part := await reader.read(CHUNK):
        writer.write(part)
        await writer.drain()


async def connection(reader, writer):
    up_reader, up_writer = await asyncio.open_connection(HOST, UPSTREAM)
    tasks = [asyncio.create_task(requests(reader, up_writer)), asyncio.create_task(answers(up_reader, writer))]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    # A connection that ends between two requests is no fault.
    await asyncio.gather(*tasks, return_exceptions=True)
    for side in (writer, up_writer):
        side.close()


async def main():
    async with await asyncio.start_server(connection, "127.0.0.1", LISTEN, limit=CHUNK) as server:
        await server.serve_forever()


asyncio.run(main())
