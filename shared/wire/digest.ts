/** SHA-256 digests as the API writes them: `sha256:` and 64 lower-case hexadecimal digits. */

export const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a string is a digest as the API writes it. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The digest that a 32-byte SHA-256 hash is written as. Throws RangeError for another length. */
export function digestFromHash(hash: Uint8Array): string {
  if (hash.length !== 32) throw new RangeError(`a SHA-256 hash has 32 bytes, not ${hash.length}`);
  let hex = "";
  for (const byte of hash) hex += byte.toString(16).padStart(2, "0");
  return `sha256:${hex}`;
}

/** The digest of some bytes. Views on shared memory are copied first, because WebCrypto refuses them. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return digestFromHash(new Uint8Array(await crypto.subtle.digest("SHA-256", unshared(bytes))));
}

function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
