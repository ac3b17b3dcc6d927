import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.stream.Collectors;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Reads each record of standard input into Java's own values, and writes these as a record again: bytes as hexadecimal
 * digits, a line each. Behind the record come the scalar values as Java prints them.
 *
 * <p>A record has the frame of Confluent's serializers: a zero, the schema's id in four bytes, Avro.
 */
public final class AvroEcho {
  private static final int PREFIX = 5;

  public static void main(String[] arguments) throws Exception {
    Schema schema = new Schema.Parser().parse(Files.readString(Path.of(arguments[0])));
    GenericData data = new GenericData();
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    data.addLogicalTypeConversion(new Conversions.UUIDConversion());
    data.addLogicalTypeConversion(new TimeConversions.DateConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimeMicrosConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      byte[] record = HexFormat.of().parseHex(line);
      GenericRecord value = read(record, schema, data);
      out.println(HexFormat.of().formatHex(write(record, value, schema, data)) + "\t" + describe(value, schema));
    }
  }

  private static GenericRecord read(byte[] record, Schema schema, GenericData data) throws Exception {
    GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema, schema, data);
    return reader.read(null, DecoderFactory.get().binaryDecoder(record, PREFIX, record.length - PREFIX, null));
  }

  private static byte[] write(byte[] record, GenericRecord value, Schema schema, GenericData data) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(0);
    bytes.write(ByteBuffer.allocate(4).putInt(ByteBuffer.wrap(record).getInt(1)).array());
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
    new GenericDatumWriter<GenericRecord>(schema, data).write(value, encoder);
    encoder.flush();
    return bytes.toByteArray();
  }

  private static String describe(GenericRecord value, Schema schema) {
    return schema.getFields().stream()
        .filter(field -> value.get(field.pos()) instanceof Comparable)
        .filter(field -> !(value.get(field.pos()) instanceof ByteBuffer))
        .map(field -> field.name() + "=" + value.get(field.pos()))
        .collect(Collectors.joining("\t"));
  }
}
