// Publish a command: java -cp amqp-client.jar:slf4j-api.jar Publish.java amqp://guest:guest@localhost/ file:///data/customers.csv
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;

public class Publish {
    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(arguments[0]);
        String type = "creditsafe.import_file";
        // With a JSON library of yours in place of the template, any file name will do.
        String command = """
            {"specversion": "1.0", "id": "customers-1", "source": "/crm", "type": "%s",
             "data": {"file": "%s", "portfolio": {"name": "Customers"}}}""".formatted(type, arguments[1]);
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
            .contentType("application/cloudevents+json")
            .deliveryMode(2)
            .build();
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.confirmSelect();
            byte[] body = command.getBytes(StandardCharsets.UTF_8);
            channel.basicPublish("kyb.commands", type, true, properties, body);
            channel.waitForConfirmsOrDie(10_000); // throws if RabbitMQ did not take it
        }
    }
}
