import com.sun.management.OperatingSystemMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The hop on Kafka Streams: exactly_once_v2, a store with a changelog, Avro by its own library, nine headers.
 *
 * <p>Arguments: bootstrap, input topic, output topic, application id, messages, messages to warm up, memory|rocksdb,
 * directory of state, seconds after which it gives up.
 */
public class Hop {
  static final byte[] PREFIX = {0, 0, 0, 0, 1};

  static final Schema PLACED =
      SchemaBuilder.record("OrderPlaced").fields().requiredString("order_id").requiredString("customer_id")
          .requiredString("sku").requiredInt("quantity").requiredLong("amount_cents").requiredString("currency")
          .requiredLong("placed_at").endRecord();
  static final Schema PAYMENT =
      SchemaBuilder.record("ProcessPayment").fields().requiredString("command_id").requiredString("order_id")
          .requiredString("customer_id").requiredLong("amount_cents").requiredString("currency")
          .requiredLong("requested_at").endRecord();
  static final Schema STATE =
      SchemaBuilder.record("OrderState").fields().requiredString("status").requiredInt("version")
          .requiredString("last_id").requiredLong("amount_cents").endRecord();

  /** Counts messages; measures the CPU of the whole process from `warm` to `messages`. */
  static class Meter {
    final long messages, warm;
    long count, startCount = -1, startCpu, startTime;

    Meter(long messages, long warm) {
      this.messages = messages;
      this.warm = warm;
    }

    static long cpu() {
      return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    void tick() {
      count++;
      if (startCount < 0 && count >= warm) {
        startCount = count;
        startCpu = cpu();
        startTime = System.nanoTime();
      } else if (count == messages) {
        long done = count - startCount;
        double cpuUs = (cpu() - startCpu) / 1e3 / done, perS = done * 1e9 / (System.nanoTime() - startTime);
        System.out.printf(
            Locale.ROOT, "{\"cpu_us\": %.2f, \"per_s\": %.0f, \"messages\": %d}%n", cpuUs, perS, done);
        System.out.flush();
        new Thread(() -> Runtime.getRuntime().halt(0)).start();
      }
    }
  }

  static class Orchestrator implements Processor<byte[], byte[], byte[], byte[]> {
    final Meter meter;
    final GenericDatumReader<GenericRecord> readPlaced = new GenericDatumReader<>(PLACED);
    final GenericDatumReader<GenericRecord> readState = new GenericDatumReader<>(STATE);
    final GenericDatumWriter<GenericRecord> writePayment = new GenericDatumWriter<>(PAYMENT);
    final GenericDatumWriter<GenericRecord> writeState = new GenericDatumWriter<>(STATE);
    ProcessorContext<byte[], byte[]> context;
    KeyValueStore<byte[], byte[]> orders;
    BinaryDecoder decoder;
    BinaryEncoder encoder;
    MessageDigest digest;
    long now;
    byte[] time;

    Orchestrator(Meter meter) {
      this.meter = meter;
    }

    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      orders = context.getStateStore("orders");
      try {
        digest = MessageDigest.getInstance("MD5");
      } catch (NoSuchAlgorithmException error) {
        throw new IllegalStateException(error);
      }
    }

    public void process(Record<byte[], byte[]> input) {
      try {
        String inputId = new String(input.headers().lastHeader("ce_id").value());
        byte[] before = orders.get(input.key());
        int version = 1;
        if (before != null) {
          GenericRecord state = decode(readState, before);
          if (state.get("last_id").toString().equals(inputId)) return;
          version = (Integer) state.get("version") + 1;
        }
        GenericRecord placed = decode(readPlaced, input.value());
        GenericRecord state = new GenericData.Record(STATE);
        state.put("status", "payment_pending");
        state.put("version", version);
        state.put("last_id", inputId);
        state.put("amount_cents", placed.get("amount_cents"));
        orders.put(input.key(), encode(writeState, state));
        GenericRecord payment = new GenericData.Record(PAYMENT);
        payment.put("command_id", "cmd-" + inputId);
        payment.put("order_id", placed.get("order_id"));
        payment.put("customer_id", placed.get("customer_id"));
        payment.put("amount_cents", placed.get("amount_cents"));
        payment.put("currency", placed.get("currency"));
        payment.put("requested_at", placed.get("placed_at"));
        byte[] value = encode(writePayment, payment);
        context.forward(new Record<>(input.key(), value, input.timestamp(), headers(input.headers())));
        meter.tick();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    GenericRecord decode(GenericDatumReader<GenericRecord> reader, byte[] value) throws IOException {
      decoder = DecoderFactory.get().binaryDecoder(value, PREFIX.length, value.length - PREFIX.length, decoder);
      return reader.read(null, decoder);
    }

    byte[] encode(GenericDatumWriter<GenericRecord> writer, GenericRecord fields) throws IOException {
      ByteArrayOutputStream out = new ByteArrayOutputStream(160);
      out.write(PREFIX);
      encoder = EncoderFactory.get().binaryEncoder(out, encoder);
      writer.write(fields, encoder);
      encoder.flush();
      return out.toByteArray();
    }

    Headers headers(Headers input) {
      byte[] cause = input.lastHeader("ce_id").value();
      String id = HexFormat.of().formatHex(digest.digest(cause));
      String trace = new String(input.lastHeader("traceparent").value(), 0, 36);
      long current = System.currentTimeMillis();
      if (current != now) {
        now = current;
        time = Instant.ofEpochMilli(current).toString().getBytes();
      }
      return new RecordHeaders()
          .add("ce_specversion", "1.0".getBytes())
          .add("ce_type", "benchmarks.commands.ProcessPayment".getBytes())
          .add("ce_source", "/services/hop".getBytes())
          .add("content-type", "application/avro".getBytes())
          .add("ce_id", id.getBytes())
          .add("ce_time", time)
          .add("ce_correlationid", input.lastHeader("ce_correlationid").value())
          .add("ce_causationid", cause)
          .add("traceparent", (trace + id.substring(0, 16) + "-01").getBytes());
    }
  }

  public static void main(String[] arguments) throws Exception {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "1");
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[7]);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.producerPrefix("linger.ms"), "5");
    Meter meter = new Meter(Long.parseLong(arguments[4]), Long.parseLong(arguments[5]));
    var bytes = Serdes.ByteArray();
    KeyValueBytesStoreSupplier store =
        arguments[6].equals("rocksdb") ? Stores.persistentKeyValueStore("orders") : Stores.inMemoryKeyValueStore("orders");
    Topology topology = new Topology();
    topology.addSource("in", bytes.deserializer(), bytes.deserializer(), arguments[1]);
    topology.addProcessor("orchestrator", () -> new Orchestrator(meter), "in");
    topology.addStateStore(Stores.keyValueStoreBuilder(store, bytes, bytes), "orchestrator");
    topology.addSink("out", arguments[2], bytes.serializer(), bytes.serializer(), "orchestrator");
    KafkaStreams streams = new KafkaStreams(topology, settings);
    streams.start();
    Thread.sleep((long) (1000 * Double.parseDouble(arguments[8])));
    Runtime.getRuntime().halt(1);
  }
}
