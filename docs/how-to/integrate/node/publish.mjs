// Publish a command with amqplib: node publish.mjs amqp://guest:guest@localhost/ file:///data/customers.csv
import amqp from "amqplib";

const [url, file] = process.argv.slice(2);
const connection = await amqp.connect(url);
const channel = await connection.createConfirmChannel();

const command = {
  specversion: "1.0",
  id: "customers-1",
  source: "/crm",
  type: "creditsafe.import_file",
  data: { file, portfolio: { name: "Customers" } },
};
channel.publish("kyb.commands", command.type, Buffer.from(JSON.stringify(command)), {
  contentType: "application/cloudevents+json",
  persistent: true,
  mandatory: true,
});
await channel.waitForConfirms(); // rejects if RabbitMQ did not take it
await connection.close();
