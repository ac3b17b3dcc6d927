// Reads docs/asyncapi.yaml with the official parser, Avro payloads included, and says what is wrong with it.
import { readFileSync } from 'node:fs';
import { AvroSchemaParser } from '@asyncapi/avro-schema-parser';
import { Parser } from '@asyncapi/parser';

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(process.argv[2], 'utf8'));
for (const { code, path, message } of diagnostics) console.log(`${code}: ${path.join('.')}: ${message}`);
if (!document || diagnostics.length > 0) process.exit(1);
const count = (name) => `${document[name]().length} ${name}`;
console.log(`valid AsyncAPI ${document.version()}: ${['channels', 'operations', 'messages'].map(count).join(', ')}`);
