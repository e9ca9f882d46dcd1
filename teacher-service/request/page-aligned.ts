/**
 * Shared bytes at the start of a page: memory that could grow is given whole pages. TensorFlow copies what does not lie
 * at a multiple of 64, as other buffers of this size do not.
 */
export function pageAligned(length: number): Uint8Array<SharedArrayBuffer> {
  // With its length told: an array that follows the buffer's is slower to read.
  return new Uint8Array(new SharedArrayBuffer(length, { maxByteLength: length }), 0, length);
}
