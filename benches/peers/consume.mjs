// The same work with amqplib and undici.
//
// usage: consume.mjs QUEUE API PREFETCH, with the broker at AMQP_URL

import { createHmac, randomUUID } from "node:crypto";
import amqplib from "amqplib";
import { Pool } from "undici";

const [queue, api, prefetch] = process.argv.slice(2);
const path = "/api/directory/remove-group-member";
const pool = new Pool(api, { connections: Number(prefetch) });

function headers() {
  const date = new Date().toUTCString().replace("GMT", "UTC");
  const id = randomUUID();
  const signature = createHmac("sha1", "secret").update(`${date}:${id}:${path}:app`).digest("base64");
  return {
    "content-type": "application/json",
    accept: "application/json",
    authorization: `MC key:${signature}`,
    "x-mc-app-id": "id",
    "x-mc-date": date,
    "x-mc-req-id": id,
  };
}

async function carry(channel, message) {
  const { emailAddress, groupIds } = JSON.parse(message.content).data;
  for (const id of groupIds) {
    const body = JSON.stringify({ data: [{ id, emailAddress }] });
    const reply = await pool.request({ path, method: "POST", headers: headers(), body });
    const { fail } = await reply.body.json();
    if (fail.length > 0) throw new Error(JSON.stringify(fail));
  }
  channel.ack(message);
}

const connection = await amqplib.connect(process.env.AMQP_URL);
const channel = await connection.createChannel();
await channel.prefetch(Number(prefetch));
await channel.consume(queue, (message) => {
  carry(channel, message).catch((error) => {
    console.error(error);
    process.exit(1);
  });
});
