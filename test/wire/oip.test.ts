import { WireError } from "@funmatch/wire";
import { type Numbers, type RequestJson, readInferRequest, requestJson } from "@funmatch/wire/oip";
import { describe, expect, test } from "vitest";

/** Reads a request's JSON that arrives in chunks of so many bytes. */
function read(text: string, chunkBytes = 1e9): RequestJson {
  const bytes = new TextEncoder().encode(text);
  const reader = requestJson();
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  return reader.end();
}

/** A request for images, with anything in its place. */
function request(o: { data?: string; shape?: unknown; input?: object; more?: object } = {}): string {
  const input = { name: "images", datatype: "FP32", shape: o.shape ?? [1, 2, 2, 3], ...o.input };
  const text = JSON.stringify({ inputs: [{ ...input, ...(o.data && { data: "DATA" }) }], ...o.more });
  return o.data === undefined ? text : text.replace('"DATA"', o.data);
}

const all = (numbers?: Numbers) => numbers?.pieces.flatMap((piece) => [...piece]);

describe("numbers of a tensor in JSON", () => {
  test.each([1, 2, 3, 7, 64])("are those that JSON.parse reads, in chunks of %i bytes", (chunkBytes) => {
    const written = ["0", "255", "-0.5", "1e3", "1E+2", "3.1415926535897931", "1234567890123456", "-12"];
    written.push(
      "0.1",
      "16777217",
      "1.7976931348623157e308",
      "5e-324",
      "000".slice(2),
      "9.999999999999999e22",
    );
    const { numbers, value } = read(request({ data: `[ ${written.join(" ,\n")} ]` }), chunkBytes);
    expect(all(numbers)).toEqual(written.map((text) => Math.fround(JSON.parse(text))));
    expect(numbers).toMatchObject({ count: written.length, dimensions: [written.length] });
    expect(numbers?.notByte).toEqual({ index: 2, value: -0.5 });
    expect(value).toMatchObject({ inputs: [{ name: "images", data: true }] });
  });

  test("of any decimals equal JSON.parse's, to the last bit", () => {
    let state = 1;
    const digit = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 24) % 10;
    };
    const number = () => {
      const whole = String(digit() * 100 + digit());
      const decimals = Array.from({ length: digit() + digit() + digit() }, digit).join("");
      // Halfway between two floats, where the last digit decides.
      if (digit() === 0) return `${16777217 + 2 * digit()}.${"0".repeat(digit())}${digit()}`;
      return (digit() < 2 ? "-" : "") + whole + (decimals === "" ? "" : `.${decimals}`);
    };
    const written = Array.from({ length: 100_000 }, number);
    const { numbers } = read(request({ data: `[${written}]` }), 4096);
    expect(all(numbers)).toEqual([...Float32Array.from(JSON.parse(`[${written}]`) as number[])]);
  });

  test("may be nested as the shape is", () => {
    const data = [
      [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        [
          [7, 8, 9],
          [10, 11, 12],
        ],
      ],
    ];
    const { numbers } = read(request({ data: JSON.stringify(data) }));
    expect(numbers?.dimensions).toEqual([1, 2, 2, 3]);
    expect(all(numbers)).toEqual(data.flat(3));
  });

  test("may come before their shape, under a key that is written with escapes", () => {
    const text = '{"inputs":[{"d\\u0061ta":[1,2,3],"name":"images"}]}';
    expect(read(text, 5).numbers?.count).toBe(3);
  });

  test.each([
    ["[1,]", /a number is missing before "]"/],
    ["[,1]", /unexpected ","/],
    ["[1 2]", /a comma is missing, after 1 numbers/],
    ["[[1],[2,3]]", /an array of 2 where others at this depth have 1/],
    ["[[1],2]", /numbers beside arrays/],
    ["[1,[2]]", /unexpected "\["/],
    ["[[1],[[2]]]", /unexpected "\["/],
    ["[]", /an empty array/],
    ["[[[[[[[[[1]]]]]]]]]", /nested deeper than 8/],
    ["[01]", /"01" is no number/],
    ["[1.]", /"1." is no number/],
    ["[.5]", /".5" is no number/],
    ["[+1]", /"\+1" is no number/],
    ["[1e]", /"1e" is no number/],
    ["[--1]", /"--1" is no number/],
    ["[NaN]", /"N" is no number/],
    ["[true]", /"t" is no number/],
    ['["1"]', /is no number/],
    ["[null]", /"n" is no number/],
    [`[${"1".repeat(500)}]`, /is no number|without an end/],
  ])("%s is refused", (data, message) => {
    for (const chunkBytes of [1, 3, 1e9])
      expect(() => readInferRequest(read(request({ data }), chunkBytes), 0)).toThrow(message);
  });

  test("that have no end are refused, whatever their length", () => {
    expect(() => read(request({ data: "[1,2" }).slice(0, -4))).toThrow(/the array has no end/);
  });
});

describe("the rest of the JSON", () => {
  test("is bounded, however it is filled", () => {
    const long = "x".repeat(2 ** 16);
    for (const text of [`{"id":"${long}"}`, `{"${long}":1}`, `{"inputs":[${"{},".repeat(2 ** 15)}{}]}`])
      expect(() => read(text)).toThrow(/longer than 65536 bytes/);
    expect(() => read("[".repeat(100))).toThrow(/nested deeper than 32/);
  });

  test.each([
    ['{"inputs":[{"data":[1],"data":[2]}]}', /the key "data" is repeated/],
    ['{"inputs":[],"inp\\u0075ts":[]}', /the key "inputs" is repeated/],
    ['{"inputs":[{"data":[1]},{"data":[2]}]}', /more than one has data/],
    ["", /not JSON/],
    ["{", /not JSON/],
    ['{"inputs":[}', /not JSON/],
    ["}{", /not JSON/],
  ])("%s is refused", (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test("must be UTF-8", () => {
    const reader = requestJson();
    reader.push(Uint8Array.of(0x22, 0xff, 0x22));
    expect(() => reader.end()).toThrow(/no UTF-8/);
  });
});

describe("what a request asks for", () => {
  const data = `[${new Array(12).fill(7)}]`;
  const head = (o: Parameters<typeof request>[0], binaryBytes = 0) =>
    readInferRequest(read(request(o)), binaryBytes);

  test("with its defaults, and with all that can be said", () => {
    expect(head({ data })).toEqual({
      ...{ purpose: "train", dtype: "float32", shape: [1, 2, 2, 3], dataLength: 48, binaryLogits: false },
    });
    const parameters = { purpose: "eval", timeout: 2_500_000, binary_data_output: true, mine: [1] };
    const more = { id: "42", parameters, outputs: [{ name: "logits", parameters: { binary_data: false } }] };
    const input = { datatype: "UINT8", parameters: { binary_data_size: 12 } };
    expect(head({ input, more }, 12)).toEqual({
      ...{ id: "42", purpose: "eval", timeoutMs: 2500, dtype: "uint8", shape: [1, 2, 2, 3] },
      ...{ dataLength: 12, binaryLogits: false },
    });
    expect(head({ data, more: { parameters: { binary_data_output: true } } }).binaryLogits).toBe(true);
    expect(head({ data, more: { id: null, parameters: null, outputs: null } }).purpose).toBe("train");
  });

  test.each<[Parameters<typeof request>[0], number, string, RegExp]>([
    [{ more: { inputs: "images" } }, 0, "malformed", /^malformed: inputs: /],
    [{ data, more: { id: 7 } }, 0, "malformed", /^malformed: id: .*string/],
    [{ data, input: { name: "pixels" } }, 0, "malformed", /input is "images", got "pixels"/],
    [{ data, input: { datatype: "INT32" } }, 0, "bad_dtype", /UINT8 or FP32, got "INT32"/],
    [{ data, input: { datatype: "constructor" } }, 0, "bad_dtype", /got "constructor"/],
    [{ data, shape: [2, 2, 3] }, 0, "shape_mismatch", /\[N,H,W,3\], got \[2,2,3\]/],
    [{ data, shape: [1, 2, 2, 0] }, 0, "malformed", /inputs\[0\]\.shape\[3\]/],
    [{ data, shape: [1, 2, 2, 1.5] }, 0, "malformed", /inputs\[0\]\.shape\[3\]/],
    [{ data, shape: [65536, 65536, 65536, 65536] }, 0, "malformed", /more bytes than a message can hold/],
    [{ data, shape: [4294967295, 1, 1, 1] }, 0, "malformed", /more bytes than a message can hold/],
    [{ data: "[1,2]" }, 0, "malformed", /is 12 numbers, got 2/],
    [{ data: `[${data}]` }, 0, "malformed", /nested as \[1,12\], the shape is \[1,2,2,3\]/],
    [{ data: data.replace("7", "256"), input: { datatype: "UINT8" } }, 0, "malformed", /number 0 is 256/],
    [{ data: data.replace("7", "0.5"), input: { datatype: "UINT8" } }, 0, "malformed", /number 0 is 0.5/],
    [{}, 0, "malformed", /an array of numbers is missing/],
    [{ input: { data: true } }, 0, "malformed", /an array of numbers is missing/],
    [{ data }, 5, "malformed", /5 bytes follow the JSON, but no input/],
    [{ input: { parameters: { binary_data_size: 47 } } }, 47, "malformed", /is 48 bytes, got 47/],
    [{ input: { parameters: { binary_data_size: 48 } } }, 49, "malformed", /48 bytes must follow .* 49/],
    [{ input: { parameters: { binary_data_size: -1 } } }, 0, "malformed", /binary_data_size/],
    [{ data, input: { parameters: { binary_data_size: 48 } } }, 48, "malformed", /not both/],
    [{ input: { parameters: { shared_memory_region: "r" } } }, 0, "malformed", /shared memory/],
    [{ data, more: { outputs: [{ name: "scores" }] } }, 0, "malformed", /output is "logits", got "scores"/],
    [{ data, more: { outputs: [{ name: "logits" }, { name: "logits" }] } }, 0, "malformed", /for 2 times/],
    [
      { data, more: { outputs: [{ name: "logits", parameters: { classification: 3 } }] } },
      0,
      "malformed",
      /classification extension is not spoken/,
    ],
    [{ data, more: { parameters: { purpose: "evaluation" } } }, 0, "malformed", /parameters.purpose/],
    [{ data, more: { parameters: { timeout: -1 } } }, 0, "malformed", /parameters.timeout/],
  ])("%o with %i bytes behind is %s", (o, binaryBytes, code, message) => {
    const error = thrown(() => head(o, binaryBytes));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
});

function thrown(run: () => unknown): WireError {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
