/** Property-based: whatever comes in, a reader accepts it rightly or throws a WireError, at once, in little memory. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { decodeAnswer, HEAD_BYTES, readRequestHead, WireError } from "@funmatch/wire";
import fc from "fast-check";
import { Unpackr } from "msgpackr";
import { expect, test } from "vitest";
import {
  arrayHead,
  type Bytes,
  binaryHead,
  integer,
  join,
  map,
  mapHead,
  requestEntries,
  requestOfImages,
  shape,
  text,
} from "./packing.ts";

const digests = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((hash) => `sha256:${Buffer.from(hash).toString("hex")}`);
const width = fc.nat({ max: 9 });

/** Correct requests in any legal encoding, with few pixels. */
const requests = fc
  .record({
    purpose: fc.constantFrom("train", "eval"),
    digest: fc.option(digests),
    dtype: fc.constantFrom("uint8", "float32"),
    shape: fc.tuple(
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
    ),
    widths: fc.array(width, { minLength: 20, maxLength: 20 }),
  })
  .filter(({ purpose, digest }) => purpose === "eval" || digest !== null)
  .map(({ purpose, digest, dtype, shape, widths }) => {
    let next = 0;
    const w = () => widths[next++]!;
    const length = shape.reduce((product, d) => product * d, dtype === "uint8" ? 1 : 4);
    const pixels = Uint8Array.from({ length }, (_, i) => i);
    return join(
      mapHead(digest === null ? 2 : 3, w()),
      [...text("purpose", w()), ...text(purpose, w())],
      digest === null ? [] : [...text("digest", w()), ...text(digest, w())],
      [...text("images", w()), ...mapHead(3, w())],
      [...text("dtype", w()), ...text(dtype, w())],
      [...text("shape", w()), ...arrayHead(4, w()), ...shape.flatMap((d) => integer(d, w()))],
      [...text("data", w()), ...binaryHead(length, w())],
      pixels,
    );
  });

/** The slow way to read a request: unpack it all with msgpackr and look. */
function reference(body: Uint8Array) {
  const { purpose, digest, images } = new Unpackr({ useRecords: false, int64AsType: "number" }).unpack(body);
  const dataLength = images.data.length;
  const optional = digest === undefined ? {} : { digest };
  const { dtype, shape } = images;
  return { purpose, ...optional, dtype, shape, dataOffset: body.length - dataLength, dataLength };
}

function read(body: Uint8Array, contentLength = body.length) {
  return readRequestHead(body.subarray(0, HEAD_BYTES), contentLength);
}

/** Runs a reader on hostile bytes; anything but a value or a WireError fails the test. */
function outcome<T>(reader: () => T): T | WireError {
  try {
    return reader();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

test("a request in any legal encoding is read as msgpackr would read it", () => {
  fc.assert(
    fc.property(requests, (body) => {
      expect(read(body)).toEqual(reference(body));
    }),
    { numRuns: 1000 },
  );
});

const damage = fc.array(
  fc.record({
    kind: fc.constantFrom("set", "insert", "delete", "swap", "cut", "repeat"),
    at: fc.nat({ max: 200 }),
    to: fc.nat({ max: 200 }),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 9 }),
      // lead bytes of every type, with sizes up to 2^32 - 1
      fc
        .tuple(fc.integer({ min: 0x80, max: 0xdf }), fc.uint8Array({ minLength: 4, maxLength: 4 }))
        .map(([lead, rest]) => join([lead], rest)),
      fc.constantFrom(0xc6, 0xc9, 0xdb, 0xdd, 0xdf).map((lead) => Uint8Array.of(lead, 255, 255, 255, 255)),
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

type Damage = typeof damage extends fc.Arbitrary<infer D> ? D : never;

function damaged(body: Uint8Array, by: Damage): Bytes {
  let bytes = join(body);
  for (const { kind, at, to, bytes: some } of by) {
    const [a, b] = [Math.min(at, to, bytes.length), Math.min(Math.max(at, to), bytes.length)];
    const [before, between, after] = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
    if (kind === "set") bytes = join(before, some, bytes.subarray(a + some.length));
    if (kind === "insert") bytes = join(before, some, bytes.subarray(a));
    if (kind === "delete") bytes = join(before, after);
    if (kind === "swap") bytes = join(between, before, after);
    if (kind === "cut") bytes = join(before);
    if (kind === "repeat") bytes = join(before, between, between, after);
  }
  return bytes;
}

test("a damaged request is refused with a WireError, or still says what msgpackr reads in it", () => {
  let refused = 0;
  fc.assert(
    fc.property(requests, damage, (body, by) => {
      const bytes = damaged(body, by);
      const head = outcome(() => read(bytes));
      if (!(head instanceof WireError)) {
        expect(head).toEqual(reference(bytes));
        return;
      }
      refused += 1;
      expect(["malformed", "bad_dtype"]).toContain(head.code);
      expect(head.detail.length).toBeLessThan(300);
    }),
    { numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(1500);
});

test("a right body with another Content-Length, or a cut prefix, is refused", () => {
  fc.assert(
    fc.property(requests, fc.maxSafeNat(), fc.nat({ max: HEAD_BYTES - 1 }), (body, length, cut) => {
      if (length !== body.length) expect(outcome(() => read(body, length))).toBeInstanceOf(WireError);
      const { dataOffset } = read(body);
      if (cut <= dataOffset) {
        expect(outcome(() => readRequestHead(body.subarray(0, cut), body.length))).toBeInstanceOf(WireError);
      }
    }),
    { numRuns: 1000 },
  );
});

/** Any msgpack value, nested, extension types and all. */
const { value: anything } = fc.letrec<{ value: number[] }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.constantFrom(0xc0, 0xc1, 0xc2, 0xc3).map((lead) => [lead]),
    fc.tuple(fc.nat({ max: 2 ** 31 }), width).map(([n, w]) => integer(n, w)),
    fc.integer({ min: -(2 ** 31), max: -1 }).map((n) => integer(n)),
    fc
      .tuple(fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom("train", "uint8", "data")), width)
      .map(([s, w]) => text(s, w)),
    fc.uint8Array({ maxLength: 20 }).map((data) => [...binaryHead(data.length), ...data]),
    fc.uint8Array({ minLength: 9, maxLength: 9 }).map((rest) => [0xcb, ...rest.subarray(1)]),
    fc.uint8Array({ minLength: 17, maxLength: 17 }).map((rest) => [0xd8, ...rest]),
    fc.array(tie("value"), { maxLength: 5 }).map((items) => [...arrayHead(items.length), ...items.flat()]),
    fc
      .array(
        fc.tuple(fc.constantFrom("purpose", "digest", "images", "dtype", "shape", "data", "x"), tie("value")),
        { maxLength: 5 },
      )
      .map((entries) => map(...entries)),
  ),
}));

test("any other msgpack value, at any place, is refused", () => {
  const places = fc.constantFrom("request", "purpose", "digest", "images", "dtype", "shape", "data");
  fc.assert(
    fc.property(places, anything, (place, value) => {
      const bytes =
        place === "request"
          ? Uint8Array.from(value)
          : ["dtype", "shape", "data"].includes(place)
            ? requestOfImages({ [place]: value })
            : Uint8Array.from(map(...requestEntries({ [place]: value })));
      const head = outcome(() => read(bytes));
      if (!(head instanceof WireError)) expect(head).toEqual(reference(bytes));
    }),
    { numRuns: 5000 },
  );
});

test("random bytes, as request and as answer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(outcome(() => read(bytes))).toBeInstanceOf(WireError);
      expect(outcome(() => decodeAnswer(bytes))).toBeInstanceOf(WireError);
    }),
    { numRuns: 2000 },
  );
});

test("any msgpack value in an answer's place is refused", () => {
  const digest = text(`sha256:${"0".repeat(64)}`);
  const places = fc.constantFrom("model", "version", "digest", "logits", "dtype", "shape", "data");
  fc.assert(
    fc.property(places, anything, (place, value) => {
      const or = (name: string, good: number[]): [string, number[]] => [name, name === place ? value : good];
      const logits = map(
        or("dtype", text("float32")),
        or("shape", shape(1, 1)),
        or("data", [0xc4, 4, 0, 0, 0, 0]),
      );
      const answer = map(
        or("model", text("m")),
        or("version", digest),
        or("digest", digest),
        or("logits", logits),
      );
      const decoded = outcome(() => decodeAnswer(Uint8Array.from(answer)));
      if (!(decoded instanceof WireError)) expect(["model", "data"]).toContain(place);
    }),
    { numRuns: 3000 },
  );
});

test("claims of 4 GiB cost no memory: over 20,000 of them it stays within 32 MiB", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const most = 0xffff_ffff;
  const claims = [
    Uint8Array.from(mapHead(most)),
    Uint8Array.from([...mapHead(2), ...text("purpose"), 0xdb, 255, 255, 255, 255]),
    requestOfImages({ shape: arrayHead(most) }),
    requestOfImages({ shape: shape(most, most, most, 3), data: binaryHead(most) }),
    requestOfImages({ shape: shape(most, 1, 1, 1), data: binaryHead(most) }),
  ];
  const logits = [...mapHead(3), ...text("data"), ...binaryHead(most)];
  const answer = Uint8Array.from([...mapHead(4), ...text("logits"), ...logits]);
  collect();
  const before = process.memoryUsage();
  let buffers = 0; // most bytes ever held in array buffers, collected or not
  for (let round = 0; round < 4000; round++) {
    for (const claim of claims) {
      expect(outcome(() => read(claim, claim.length + most))).toBeInstanceOf(WireError);
    }
    expect(outcome(() => decodeAnswer(answer))).toBeInstanceOf(WireError);
    buffers = Math.max(buffers, process.memoryUsage().arrayBuffers);
  }
  collect();
  expect(buffers - before.arrayBuffers).toBeLessThan(32 * 2 ** 20);
  expect(process.memoryUsage().heapUsed - before.heapUsed).toBeLessThan(32 * 2 ** 20);
});
