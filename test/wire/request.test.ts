import { encodeRequestHead, HEAD_BYTES, readRequestHead, sha256, WireError } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import {
  arrayHead,
  binary,
  binaryHead,
  DIGEST,
  imageEntries,
  integer,
  join,
  map,
  mapHead,
  PIXELS,
  request,
  requestEntries,
  requestOfImages,
  shape,
  text,
} from "./packing.ts";

/** The error that reading a whole body gives. */
function refusal(body: Uint8Array, contentLength = body.length): { code: string; detail: string } {
  try {
    readRequestHead(body.subarray(0, HEAD_BYTES), contentLength);
  } catch (error) {
    if (error instanceof WireError) return { code: error.code, detail: error.detail };
    throw error;
  }
  throw new Error("it was accepted");
}

test("a body is an encoded head followed by the pixels as they are", async () => {
  const pixels = new Uint8Array(2 * 64 * 64 * 3).fill(7);
  const digest = await sha256(pixels);
  const head = encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape: [2, 64, 64, 3] });
  const body = join(head, pixels);

  expect(readRequestHead(body.subarray(0, HEAD_BYTES), body.length)).toEqual({
    purpose: "train",
    digest,
    dtype: "uint8",
    shape: [2, 64, 64, 3],
    dataOffset: head.length,
    dataLength: pixels.length,
  });
});

test("an evaluation request needs no digest, and a small body is its own prefix", () => {
  const head = encodeRequestHead({ purpose: "eval", dtype: "float32", shape: [1, 1, 1, 1] });
  const read = readRequestHead(join(head, [0, 0, 128, 63]), head.length + 4);
  expect(read).not.toHaveProperty("digest");
  expect(read).toMatchObject({ purpose: "eval", dtype: "float32", dataLength: 4 });
});

test("how many channels a model takes is the model's to say", () => {
  const head = encodeRequestHead({ purpose: "eval", dtype: "uint8", shape: [2, 3, 4, 13] });
  const body = join(head, new Uint8Array(2 * 3 * 4 * 13));
  expect(readRequestHead(body, body.length).shape).toEqual([2, 3, 4, 13]);
});

test("a batch of nearly 4 GiB has a head of 140 bytes that is read without its pixels", () => {
  const huge = [5000, 512, 512, 3];
  const head = encodeRequestHead({ purpose: "train", digest: DIGEST, dtype: "uint8", shape: huge });
  const length = 5000 * 512 * 512 * 3;
  const prefix = join(head, new Uint8Array(HEAD_BYTES - head.length));
  expect(readRequestHead(prefix, head.length + length).dataLength).toBe(length);
});

test("a prefix that views the middle of a buffer, or shared memory, is read like any other", () => {
  const body = request();
  const middle = join([1, 2, 3], body).subarray(3);
  expect(readRequestHead(middle, body.length)).toEqual(readRequestHead(body, body.length));
  const shared = new Uint8Array(new SharedArrayBuffer(body.length));
  shared.set(body);
  expect(readRequestHead(shared, body.length)).toEqual(readRequestHead(body, body.length));
});

test("an error names the place, what would be right, what was there, and the byte", () => {
  const refused = refusal(requestOfImages({ shape: shape(1, 2, -1, 3) }));
  expect(refused).toEqual({
    code: "malformed",
    detail: "images.shape[2]: expected a positive integer, got -1 at byte 124",
  });
});

const nested = (depth: number) => new Array<number>(depth).fill(0x91);

const cases: [what: string, body: Uint8Array, detail: string][] = [
  ["an empty body", new Uint8Array(), "request: truncated"],
  ["no map", Uint8Array.from(text("hello")), "request: expected a map, got a string"],
  ["deep nesting", Uint8Array.from(nested(100_000)), "request: expected a map, got an array"],
  ["nesting inside", request({ purpose: nested(300) }), "purpose: expected a string, got an array"],
  [
    "a map of four",
    join([0x84], request().subarray(1)),
    "request: expected purpose, digest and images, got 4",
  ],
  ["a map of 2^32 - 1", join(mapHead(2 ** 32 - 1), request().subarray(1)), "got 4294967295 keys"],
  ["an extra last key", Uint8Array.from(map(...requestEntries(), ["more", integer(1)])), "got 4 keys"],
  [
    "reordered keys",
    Uint8Array.from(map(...requestEntries().reverse())),
    'key of request: expected "purpose", got "images" at byte 1',
  ],
  [
    "a repeated key",
    Uint8Array.from(map(requestEntries()[0]!, requestEntries()[0]!, requestEntries()[2]!)),
    'key of request: expected "digest", got "purpose"',
  ],
  [
    "a key that is no string",
    join(mapHead(3), integer(1)),
    "key of request: expected a string, got an integer",
  ],
  [
    "a foreign purpose",
    request({ purpose: text("test") }),
    'purpose: expected "train" or "eval", got "test"',
  ],
  ["a binary purpose", request({ purpose: binary(PIXELS) }), "purpose: expected a string, got a binary"],
  [
    "no digest for train",
    Uint8Array.from(map(requestEntries()[0]!, requestEntries()[2]!)),
    'digest: required where purpose is "train", missing at byte 15',
  ],
  [
    "a digest of nil",
    request({ purpose: text("eval"), digest: [0xc0] }),
    "digest: expected a string, got nil",
  ],
  ["an upper-case digest", request({ digest: text(DIGEST.toUpperCase()) }), "64 lower-case hex digits"],
  ["a short digest", request({ digest: text(DIGEST.slice(0, -1)) }), "64 lower-case hex digits"],
  ["a line break after the digest", request({ digest: text(`${DIGEST}\n`) }), "64 lower-case hex digits"],
  ["no UTF-8", request({ purpose: [0xa2, 0xc3, 0x28] }), "purpose: expected UTF-8"],
  ["images that are an array", request({ images: arrayHead(3) }), "images: expected a map, got an array"],
  ["an extension type", request({ images: [0xd4, 1, 0] }), "images: expected a map, got an extension type"],
  ["a large extension", request({ images: [0xc9, 255, 255, 255, 255, 1] }), "got an extension type"],
  ["the unused byte", request({ images: [0xc1] }), "got the byte 0xc1"],
  ["a dtype that is nil", requestOfImages({ dtype: [0xc0] }), "images.dtype: expected a string, got nil"],
  [
    "three dimensions",
    requestOfImages({ shape: shape(2, 2, 3) }),
    "images.shape: expected 4 dimensions, got 3",
  ],
  ["five dimensions", requestOfImages({ shape: shape(1, 1, 2, 2, 3) }), "expected 4 dimensions, got 5"],
  ["2^32 - 1 dimensions", requestOfImages({ shape: arrayHead(2 ** 32 - 1) }), "4 dimensions, got 4294967295"],
  [
    "no image",
    requestOfImages({ shape: shape(0, 2, 2, 3) }),
    "images.shape[0]: expected a positive integer, got 0",
  ],
  [
    "a float dimension",
    requestOfImages({ shape: [0x94, 0xca, 0x3f, 0x80, 0, 0] }),
    "an integer, got a float",
  ],
  [
    "a boolean dimension",
    requestOfImages({ shape: [0x94, 0xc3] }),
    "images.shape[0]: expected an integer, got a boolean",
  ],
  [
    "a dimension of 2^63",
    requestOfImages({ shape: [0x94, ...integer(2 ** 63, 4)] }),
    "images.shape[0]: expected at most 4294967295, got 9223372036854776000",
  ],
  [
    "a product that wraps around 2^32 to 12",
    requestOfImages({ shape: shape(2 ** 31, 2, 2 ** 31, 3) }),
    "images.data: uint8 [2147483648,2,2147483648,3] is more bytes than a message can hold, got 12",
  ],
  ["too little data", requestOfImages({ shape: shape(1, 2, 3, 3) }), "uint8 [1,2,3,3] is 18 bytes, got 12"],
  [
    "float32 of uint8's length",
    requestOfImages({ dtype: text("float32") }),
    "float32 [1,2,2,3] is 48 bytes, got 12",
  ],
  [
    "data that is a string",
    requestOfImages({ data: text("twelve bytes") }),
    "images.data: expected a binary",
  ],
  [
    "data that claims 4 GiB",
    requestOfImages({ data: join(binaryHead(2 ** 32 - 1), PIXELS) as unknown as number[] }),
    "got 4294967295",
  ],
  ["bytes after the data", join(request(), [0]), "must end the body of 146 bytes, but ends at byte 145"],
  [
    "a key after data",
    request({ images: [...mapHead(4), ...map(...imageEntries()).slice(1), ...text("x"), ...integer(1)] }),
    "images: expected dtype, shape and data, got 4 keys",
  ],
  [
    "data first",
    request({ images: map(...imageEntries().reverse()) }),
    'key of images: expected "dtype", got "data"',
  ],
  [
    "a long run-up",
    request({ purpose: text("train".repeat(200)) }),
    "purpose: expected a string of at most 512 bytes, got 1000",
  ],
];

describe("what is refused as malformed, naming the place", () => {
  test.each(cases)("%s", (_what, body, detail) => {
    const refused = refusal(body);
    expect(refused.detail).toContain(detail);
    expect(refused.code).toBe("malformed");
  });

  test("a body cut short anywhere, or a prefix too short to tell", () => {
    const body = request();
    for (let length = 0; length < body.length - PIXELS.length; length++) {
      expect(refusal(body.subarray(0, length)).detail).toMatch(/truncated|expected/);
      expect(refusal(body.subarray(0, length), body.length).detail).toContain("truncated");
    }
    for (let length = body.length - PIXELS.length + 1; length < body.length; length++) {
      expect(refusal(body.subarray(0, length)).detail).toContain("must end the body");
    }
  });

  test("a head that has not ended within 512 bytes", () => {
    const late = join(mapHead(2), text("purpose"), text("e".repeat(505)), new Uint8Array(100));
    expect(refusal(late).detail).toContain("images.data does not begin within the first 512 bytes");
  });

  test("a body longer than its Content-Length", () => {
    const body = request();
    expect(refusal(body, body.length - 1).detail).toContain("body: longer than its Content-Length of 144");
  });
});

test("a dtype that is well-formed but unknown has its own code", () => {
  expect(refusal(requestOfImages({ dtype: text("float16") }))).toEqual({
    code: "bad_dtype",
    detail: 'images.dtype: expected "uint8" or "float32", got "float16" at byte 109',
  });
});

test("without a length nothing is read", () => {
  for (const length of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY]) {
    expect(refusal(new Uint8Array(), length).code).toBe("length_required");
  }
});

test("control characters and long strings do not get into an error's detail", () => {
  const { detail } = refusal(request({ purpose: text(`a\n\u0000${"b".repeat(200)}`) }));
  expect(detail).toContain(`got "a\\n\\u0000${"b".repeat(37)}…"`);
});

test("what would be refused is not encoded", () => {
  const good = { purpose: "train", digest: DIGEST, dtype: "uint8", shape: [1, 2, 2, 3] } as const;
  const encode = (changes: object) => () => encodeRequestHead({ ...good, ...changes });
  expect(encode({})).not.toThrow();
  expect(encode({ digest: undefined })).toThrow("digest: required");
  expect(encode({ digest: "abc" })).toThrow("digest: expected");
  expect(encode({ shape: [1, 2, 2] })).toThrow("expected 4 dimensions");
  expect(encode({ shape: [1, 2, -2, 3] })).toThrow(WireError);
  expect(encode({ shape: [1, 2, 1.5, 3] })).toThrow(WireError);
  expect(encode({ shape: [1, 2, Number.NaN, 3] })).toThrow(WireError);
  expect(encode({ shape: [65_536, 65_536, 2, 3] })).toThrow("more bytes than a message can hold");
  expect(encode({ dtype: "float16" })).toThrow(WireError);
});
