import { crc32c } from "@aws-crypto/crc32c";
import protobuf from "protobufjs";

/** The parts of TensorFlow's event.proto and summary.proto that scalars need; its field numbers. */
const SCHEMA = `
syntax = "proto3";
message Event {
  double wallTime = 1; int64 step = 2;
  oneof what { string fileVersion = 3; Summary summary = 5; SessionLog sessionLog = 7; }
}
message Summary { message Value { string tag = 1; float simpleValue = 2; } repeated Value value = 1; }
message SessionLog { int32 status = 1; }
`;

const Event = protobuf.parse(SCHEMA).root.lookupType("Event");

/** What an event file tells. */
export type EventContent =
  /** The first event of a file. */
  | { fileVersion: "brain.Event:2" }
  /** status 1, a start: points of this step and later ones that were read before count no more. */
  | { sessionLog: { status: 1 } }
  | { summary: { value: { tag: string; simpleValue: number }[] } };

/**
 * An event as it stands in TensorBoard's files, framed as a TFRecord: length and its checksum, the event and its
 * checksum.
 *
 * @param wallTime seconds since 1970
 */
export function eventRecord(wallTime: number, step: number, content: EventContent): Uint8Array {
  const event = Event.encode({ wallTime, step, ...content }).finish();
  const record = Buffer.alloc(12 + event.byteLength + 4);
  record.writeBigUInt64LE(BigInt(event.byteLength), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(event, 12);
  record.writeUInt32LE(maskedCrc(event), 12 + event.byteLength);
  return record;
}

/** CRC-32C, rotated and shifted, since a checksum of data that holds checksums is weak (TensorFlow's crc32c.h). */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
