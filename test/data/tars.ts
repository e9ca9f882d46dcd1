/** A member of a tar to be written. */
export interface Written {
  name: string;
  bytes?: Uint8Array | string;
  type?: string;
  prefix?: string;
  /** What the header says, if not the truth. */
  size?: string;
}

const BLOCK = 512;

/** A ustar archive as POSIX describes it; tests may lie in any field. */
export function tarOf(members: Written[], end = 2): Buffer {
  return Buffer.concat([...members.flatMap(member), Buffer.alloc(end * BLOCK)]);
}

function member({ name, bytes = "", type = "0", prefix = "", size }: Written): Buffer[] {
  const content = Buffer.from(bytes);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write(size ?? content.length.toString(8).padStart(11, "0"), 124, 12, "latin1");
  header.write(type, 156);
  header.write("ustar\x0000", 257);
  header.write(prefix, 345, 155);
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
}

/** A pax header for the member after it. */
export function pax(records: Record<string, string>): Written {
  const bytes = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length++;
    return `${length} ${key}=${value}\n`;
  });
  return { name: "PaxHeader", type: "x", bytes: bytes.join("") };
}
