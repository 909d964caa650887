"""Fake SMTP servers, one for each destination of world.json that has an answer."""

import asyncio
import json
import pathlib


def crlf(text):
    """SMTP's line ends."""
    return ("\r\n".join(text.strip("\n").split("\n")) + "\r\n").encode()


async def serve(reader, writer, when, answer):
    """One session; `answer` comes at `when`."""

    async def say(data):
        writer.write(data)
        await writer.drain()

    try:
        if when == "banner":
            await say(answer)
            return
        await say(b"220 destination ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                await say(crlf("250-destination\n250-SMTPUTF8\n250 ENHANCEDSTATUSCODES"))
            elif (verb == b"MAIL" and when == "mail") or (verb == b"RCPT" and when == "rcpt"):
                await say(answer)
            elif verb == b"DATA":
                await say(b"354 go ahead\r\n")
                while await reader.readline() not in (b".\r\n", b""):
                    pass
                await say(answer)
            elif verb == b"QUIT":
                await say(b"221 2.0.0 bye\r\n")
                return
            else:
                await say(b"250 2.0.0 ok\r\n")
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    """Serve them all."""
    destinations = json.loads(pathlib.Path("/opt/lab/world.json").read_text())["destinations"]

    def session(one):
        return lambda r, w: serve(r, w, one["when"], crlf(one["answer"]))

    servers = [
        await asyncio.start_server(session(one), one["address"], 25)
        for one in destinations.values()
        if "answer" in one
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
