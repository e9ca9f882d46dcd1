import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { type CompressionCodec, snappyUncompress } from "hyparquet";
import { decompressLz4, decompressLz4Raw } from "hyparquet-compressors";

/** The codecs that pages may be compressed with, in the order of Parquet's numbers for them. */
export const CODECS = ["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"] as const;
export type Codec = (typeof CODECS)[number];

/** Whether a file's codec is one of {@link CODECS}. */
export function isKnown(codec: CompressionCodec | undefined): codec is Codec {
  return (CODECS as readonly (string | undefined)[]).includes(codec);
}

/**
 * Decompresses bytes that give `length` bytes, and never more.
 *
 * @throws Error if they are damaged or give another number
 */
export function decompress(codec: Codec, bytes: Uint8Array, length: number): Uint8Array {
  const plain = decompressed(codec, bytes, length);
  if (plain.length !== length) throw new Error(`${plain.length} bytes instead of ${length}`);
  return plain;
}

function decompressed(codec: Codec, bytes: Uint8Array, length: number): Uint8Array {
  const bounded = { maxOutputLength: Math.max(1, length) };
  switch (codec) {
    case "UNCOMPRESSED":
      return bytes;
    case "SNAPPY": {
      const plain = new Uint8Array(length);
      snappyUncompress(bytes, plain);
      return plain;
    }
    case "GZIP":
      return gunzipSync(bytes, bounded);
    case "BROTLI":
      return brotliDecompressSync(bytes, bounded);
    case "ZSTD":
      return zstdDecompressSync(bytes, bounded);
    case "LZ4":
      return decompressLz4(bytes, length);
    case "LZ4_RAW":
      return decompressLz4Raw(bytes, length);
    default:
      return codec satisfies never;
  }
}
