// Publishes that somebody left, and says whether a queue has it.
//
// usage: node offboard.js ADDRESS GROUP...
//
// The broker is the one at AMQP_URL, the exchange AMQP_EXCHANGE (events). Needs amqplib.

const { randomUUID } = require("node:crypto");
const amqp = require("amqplib");

async function main([address, ...groups]) {
  const event = {
    specversion: "1.0",
    id: randomUUID(),
    source: "/hr",
    type: "user.offboarded",
    time: new Date().toISOString(),
    data: { emailAddress: address, groups },
  };
  const connection = await amqp.connect(process.env.AMQP_URL);
  try {
    const channel = await connection.createConfirmChannel();
    let returned = false;
    channel.on("return", () => {
      returned = true;
    });
    const exchange = process.env.AMQP_EXCHANGE ?? "events";
    channel.publish(exchange, "user.offboarded", Buffer.from(JSON.stringify(event)), {
      contentType: "application/cloudevents+json",
      messageId: event.id,
      persistent: true,
      mandatory: true,
    });
    // A message that no queue takes is returned before it is confirmed.
    await channel.waitForConfirms();
    if (returned) {
      throw new Error("no queue is bound: the event would be lost");
    }
    console.log(event.id);
  } finally {
    await connection.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
