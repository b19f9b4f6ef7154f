// Follow events: java -cp amqp-client.jar:slf4j-api.jar Consume.java amqp://guest:guest@localhost/ 'creditsafe.#'
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Envelope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

public class Consume {
    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(arguments[0]);
        Connection connection = factory.newConnection();
        Channel channel = connection.createChannel();
        String queue = "crm.kyb-events";
        channel.queueDeclare(queue, true, false, false, Map.of("x-queue-type", "quorum"));
        channel.queueBind(queue, "kyb.events", arguments[1]);
        channel.basicQos(20);
        channel.basicConsume(queue, false, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(
                String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body
            ) throws IOException {
                String event = new String(body, StandardCharsets.UTF_8); // JSON, for a library of yours
                System.out.println(envelope.getRoutingKey() + " " + event);
                channel.basicAck(envelope.getDeliveryTag(), false);
            }
        });
    }
}
