// Follow events with amqplib: node consume.mjs amqp://guest:guest@localhost/ 'creditsafe.#'
import amqp from "amqplib";

const [url, key] = process.argv.slice(2);
const connection = await amqp.connect(url);
const channel = await connection.createChannel();
const queue = "crm.kyb-events";
await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
await channel.bindQueue(queue, "kyb.events", key);
await channel.prefetch(20);

await channel.consume(queue, (message) => {
  if (message === null) throw new Error("RabbitMQ has ended the subscription");
  const event = JSON.parse(message.content);
  console.log(event.id, event.type, JSON.stringify(event.data.result ?? event.data.error ?? null));
  channel.ack(message);
});
