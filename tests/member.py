"""One member behind a balancer: ``python member.py PORT DELAY STATUS``; says its port.

``/health`` is always answered at once with 200, so that an application that fails is not a member
that is down.
"""

import asyncio
import sys

PORT, DELAY, STATUS = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])


def reply(status: int) -> bytes:
    body = str(PORT).encode()
    return b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            health = head.startswith(b"GET /health ")
            if not health:
                await asyncio.sleep(DELAY)
            writer.write(reply(200 if health else STATUS))
            await writer.drain()
            if b"\r\nconnection: close" in head.lower():
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=256)
    await server.serve_forever()


asyncio.run(main())
