"""The same work with aio-pika, aiohttp and uvloop.

usage: consume.py QUEUE API PREFETCH, with the broker at AMQP_URL
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import uuid

import aio_pika
import aiohttp
import uvloop

PATH = "/api/directory/remove-group-member"


def headers():
    date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
    request_id = str(uuid.uuid4())
    text = f"{date}:{request_id}:{PATH}:app".encode()
    signature = base64.b64encode(hmac.new(b"secret", text, hashlib.sha1).digest()).decode()
    return {
        "content-type": "application/json", "accept": "application/json", "authorization": f"MC key:{signature}",
        "x-mc-app-id": "id", "x-mc-date": date, "x-mc-req-id": request_id,
    }


async def carry(session, url, message):
    data = json.loads(message.body)["data"]
    for group in data["groupIds"]:
        body = json.dumps({"data": [{"id": group, "emailAddress": data["emailAddress"]}]})
        async with session.post(url, data=body, headers=headers()) as reply:
            if (await reply.json())["fail"]:
                sys.exit("refused")
    await message.ack()


async def consume(queue, api, prefetch):
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=prefetch)
    connector = aiohttp.TCPConnector(limit=prefetch)
    async with aiohttp.ClientSession(connector=connector) as session:
        messages = await channel.get_queue(queue, ensure=False)
        await messages.consume(lambda message: carry(session, api + PATH, message))
        await asyncio.Future()


uvloop.run(consume(sys.argv[1], sys.argv[2], int(sys.argv[3])))
