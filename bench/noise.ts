import { createCipheriv } from "node:crypto";

/** Bytes that look random and are the same for the same name, at the speed of AES. */
export function noiseBytes(name: string, count: number): Uint8Array {
  const key = Buffer.alloc(16);
  key.write(name.slice(-16));
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(count));
}

/** Numbers of mean 0 and variance 1, evenly spread over ±sqrt(3), the same for the same name. */
export function noise(name: string, count: number): Float32Array {
  const bytes = noiseBytes(name, count * 4);
  const whole = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
  return Float32Array.from(whole, (n) => (n / 2 ** 31 - 1) * Math.sqrt(3));
}
