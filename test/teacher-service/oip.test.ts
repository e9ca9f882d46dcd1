import { HEADERS } from "@funmatch/wire";
import {
  errorSchema,
  INFERENCE_HEADER,
  inferAnswerSchema,
  modelMetadataSchema,
  serverMetadataSchema,
} from "@funmatch/wire/oip";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openOipTeacher } from "../../student-trainer/teach/oip/client.ts";
import { oipSchema } from "../../student-trainer/teachers.ts";
import { bodyOf, digestOf, logitsOf, post } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const SIDE = 32;
const PIXELS = SIDE * SIDE * 3;
const TOKEN = { authorization: "Bearer open-sesame" };

let service: TeacherProcess;
let version: string;
const log: string[] = [];

beforeAll(async () => {
  const { configPath } = await writeTeacher({
    extra: `tokens: ["env:TEST_TOKEN"]
limits: { maxBodyBytes: 8000000, maxImages: 2000, timeoutMs: 20000, queueBytes: 12000000 }`,
  });
  service = await startTeacherService(configPath, {
    env: { TEST_TOKEN: "open-sesame" },
    onLog: (line) => log.push(line),
  });
  const card = await (await get("/v1/models/tiny")).json();
  version = (card as { version: string }).version;
});
afterAll(async () => {
  expect(await service?.close()).toBe(0);
});

const get = (path: string, headers: Record<string, string> = TOKEN) =>
  fetch(`${service.url}${path}`, { headers });

interface Sent {
  pixels?: Uint8Array<ArrayBuffer>;
  count?: number;
  input?: object;
  /** Other members of the request. */
  more?: object;
  headers?: Record<string, string>;
  path?: string;
}

const imagesOf = ({ pixels, count = 2 }: Sent) => pixels ?? noise(count * PIXELS);

function send(body: Uint8Array<ArrayBuffer> | string, o: Sent = {}): Promise<Response> {
  return fetch(`${service.url}${o.path ?? "/v2/models/tiny"}/infer`, {
    method: "POST",
    headers: { ...TOKEN, ...o.headers },
    body,
  });
}

/** Asks with bytes behind the JSON. */
function sendBytes(o: Sent = {}): Promise<Response> {
  const bytes = imagesOf(o);
  const parameters = { binary_data_size: bytes.length };
  const shape = [bytes.length / PIXELS, SIDE, SIDE, 3];
  const input = { name: "images", datatype: "UINT8", shape, parameters, ...o.input };
  const json = Buffer.from(JSON.stringify({ ...o.more, inputs: [input] }));
  const headers = { [INFERENCE_HEADER]: String(json.length), ...o.headers };
  return send(new Uint8Array(Buffer.concat([json, bytes])), { ...o, headers });
}

/** Asks with numbers in the JSON. */
function sendNumbers(o: Sent = {}): Promise<Response> {
  const pixels = imagesOf(o);
  const shape = [pixels.length / PIXELS, SIDE, SIDE, 3];
  const input = { name: "images", datatype: "UINT8", shape, data: [...pixels], ...o.input };
  const headers = { "content-type": "application/json", ...o.headers };
  return send(JSON.stringify({ ...o.more, inputs: [input] }), { ...o, headers });
}

/** An answer, from wherever its logits lie. */
async function answerOf(response: Response) {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const told = response.headers.get(INFERENCE_HEADER);
  const end = told === null ? bytes.length : Number(told);
  const json = inferAnswerSchema.parse(JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
  const output = json.outputs[0]!;
  const size = output.parameters?.binary_data_size;
  expect(bytes.length - end).toBe(size ?? 0);
  const logits =
    size === undefined ? (output.data as number[]) : [...new Float32Array(bytes.slice(end).buffer)];
  return { json, output, logits };
}

async function refusalOf(response: Response): Promise<[number, string]> {
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get(HEADERS.requestId)).toBeTruthy();
  const body = await response.json();
  expect(Object.keys(body as object)).toEqual(["error"]);
  return [response.status, errorSchema.parse(body).error];
}

describe("what it tells of itself", () => {
  test("health needs no token, the rest does", async () => {
    expect(await (await get("/v2/health/live", {})).json()).toEqual({ live: true });
    expect(await (await get("/v2/health/ready", {})).json()).toEqual({ ready: true });
    for (const path of ["/v2", "/v2/models/tiny", "/v2/models/tiny/ready", "/v2/nothing"]) {
      const response = await get(path, {});
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect((await refusalOf(response))[0]).toBe(401);
    }
  });

  test("server and model, by name and by version", async () => {
    const server = serverMetadataSchema.parse(await (await get("/v2")).json());
    expect(server).toMatchObject({
      name: "funmatch-teacher",
      extensions: ["binary_tensor_data", "model_configuration"],
    });
    expect(await (await get("/v2/models")).json()).toEqual({ models: ["tiny"] });
    for (const path of ["", "/versions/1", `/versions/${version}`]) {
      expect(modelMetadataSchema.parse(await (await get(`/v2/models/tiny${path}`)).json())).toMatchObject({
        name: "tiny",
        versions: ["1", version],
        inputs: [{ name: "images", datatype: "UINT8", shape: [-1, SIDE, SIDE, 3] }],
        outputs: [{ name: "logits", datatype: "FP32", shape: [-1, 7] }],
      });
      expect(await (await get(`/v2/models/tiny${path}/ready`)).json()).toEqual({ name: "tiny", ready: true });
      const config = await (await get(`/v2/models/tiny${path}/config`)).json();
      expect(config).toMatchObject({ name: "tiny", max_batch_size: 2000 });
    }
  });

  test.each([
    ["/v2/models/none", /no model "none" here; there is tiny/],
    ["/v2/models/none/ready", /no model "none"/],
    ["/v2/models/tiny/versions/2", /no version "2" of tiny here; there is sha256:.*, also known as 1/],
    ["/v2/models/tiny/versions/2/ready", /no version "2"/],
    ["/v2/models/tiny/versions/2/config", /no version "2"/],
    ["/v2/repository/index", /there is no GET/],
  ])("%s: 404", async (path, message) => {
    const [status, error] = await refusalOf(await get(path));
    expect(status).toBe(404);
    expect(error).toMatch(message);
  });
});

describe("logits", () => {
  const pixels = noise(3 * PIXELS);
  const expected = async () => {
    const body = bodyOf({ pixels, shape: [3, SIDE, SIDE, 3] });
    return [...(await logitsOf(await post(service.url, body, { headers: TOKEN })))];
  };
  const nested = (flat: number[], sizes: number[]): unknown =>
    sizes.length === 1
      ? flat
      : Array.from({ length: sizes[0]! }, (_, i) => {
          const each = flat.length / sizes[0]!;
          return nested(flat.slice(i * each, (i + 1) * each), sizes.slice(1));
        });
  const floats = new Uint8Array(Float32Array.from(pixels).buffer);
  const shape = [3, SIDE, SIDE, 3];
  const asFloats = { datatype: "FP32", shape, parameters: { binary_data_size: floats.length } };

  test.each<[string, () => Promise<Response>]>([
    ["bytes of UINT8", () => sendBytes({ pixels })],
    ["bytes of FP32", () => sendBytes({ pixels: floats, input: asFloats })],
    ["flat JSON of UINT8", () => sendNumbers({ pixels })],
    ["nested JSON of UINT8", () => sendNumbers({ pixels, input: { data: nested([...pixels], shape) } })],
    ["JSON of FP32", () => sendNumbers({ pixels, input: { datatype: "FP32" } })],
    ["version 1", () => sendBytes({ pixels, path: "/v2/models/tiny/versions/1" })],
    ["the version's own name", () => sendBytes({ pixels, path: `/v2/models/tiny/versions/${version}` })],
    ["evaluation", () => sendBytes({ pixels, more: { parameters: { purpose: "eval" } } })],
  ])("of %s are those of the other protocol", async (_, ask) => {
    const response = await ask();
    const { json, output, logits } = await answerOf(response);
    expect(logits).toEqual(await expected());
    expect(json).toMatchObject({ model_name: "tiny", model_version: version });
    expect(json.id).toBeUndefined();
    expect(output).toMatchObject({ name: "logits", datatype: "FP32", shape: [3, 7] });
    expect([digestOf(pixels), digestOf(floats)]).toContain(response.headers.get(HEADERS.digest));
    expect(response.headers.get(HEADERS.serverTiming)).toMatch(/queue;dur=/);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test.each<[string, object, boolean]>([
    ["no word", {}, false],
    ["all as bytes", { parameters: { binary_data_output: true } }, true],
    ["this one as bytes", { outputs: [{ name: "logits", parameters: { binary_data: true } }] }, true],
    ["named only", { outputs: [{ name: "logits" }] }, false],
    ["none named", { outputs: [] }, false],
    [
      "all but this one",
      {
        parameters: { binary_data_output: true },
        outputs: [{ name: "logits", parameters: { binary_data: false } }],
      },
      false,
    ],
    [
      "all, this one named",
      { parameters: { binary_data_output: true }, outputs: [{ name: "logits" }] },
      true,
    ],
  ])("%s: as bytes %o %o", async (_, more, bytes) => {
    for (const ask of [sendBytes, sendNumbers]) {
      const response = await ask({ pixels, more });
      expect(response.headers.has(INFERENCE_HEADER)).toBe(bytes);
      expect((await answerOf(response)).logits).toEqual(await expected());
    }
  });

  test("come back with the id of the question, which is the request's id too", async () => {
    const response = await sendBytes({ more: { id: "step-42" } });
    expect(response.headers.get(HEADERS.requestId)).toBe("step-42");
    expect((await answerOf(response)).json.id).toBe("step-42");
    const odd = await sendBytes({ more: { id: 'a "b" []\n' }, headers: { [HEADERS.requestId]: "mine" } });
    expect(odd.headers.get(HEADERS.requestId)).toBe("mine");
    expect((await answerOf(odd)).json.id).toBe('a "b" []\n');
    await expect.poll(() => log.join("\n")).toContain('"requestId":"step-42"');
  });

  test("of a body that is one image and nothing else", async () => {
    const image = pixels.slice(0, PIXELS);
    const headers = { [INFERENCE_HEADER]: "0" };
    const { logits } = await answerOf(await send(image, { headers }));
    expect(logits).toEqual((await expected()).slice(0, 7));
    expect((await refusalOf(await send(pixels, { headers })))[1]).toMatch(
      /one image, UINT8 \[1,32,32,3\], 3072/,
    );
  });

  test("of images of another size are those of the resized image", async () => {
    const large = noise(4 * PIXELS);
    const sizes = [1, SIDE * 2, SIDE * 2, 3];
    const { logits } = await answerOf(await sendBytes({ pixels: large, input: { shape: sizes } }));
    const body = bodyOf({ pixels: large, shape: sizes });
    expect(logits).toEqual([...(await logitsOf(await post(service.url, body, { headers: TOKEN })))]);
  });

  test("of JSON that comes in many chunks, from several clients at once", async () => {
    const many = noise(100 * PIXELS);
    const [first, ...others] = await Promise.all(
      [1, 2, 3].map(async () => (await answerOf(await sendNumbers({ pixels: many }))).logits),
    );
    expect(first).toEqual((await answerOf(await sendBytes({ pixels: many }))).logits);
    for (const other of others) expect(other).toEqual(first);
  });

  test("that JSON has no number for are null", async () => {
    const bytes = new Uint8Array(new Float32Array(PIXELS).fill(Number.NaN).buffer);
    const parameters = { binary_data_size: bytes.length };
    const input = { datatype: "FP32", shape: [1, SIDE, SIDE, 3], parameters };
    const { output } = await answerOf(await sendBytes({ pixels: bytes, input }));
    expect(output.data).toEqual(new Array(7).fill(null));
  });
});

describe("refusals", () => {
  const JSON_TYPE = { headers: { "content-type": "application/json" } };

  test.each<[string, number, RegExp, () => Promise<Response>]>([
    ["an unknown model", 404, /no model "none"/, () => sendBytes({ path: "/v2/models/none" })],
    ["another version", 404, /no version "7"/, () => sendBytes({ path: "/v2/models/tiny/versions/7" })],
    [
      "a pin",
      409,
      /asked for was/,
      () => sendBytes({ headers: { [HEADERS.version]: `sha256:${"0".repeat(64)}` } }),
    ],
    ["a wrong name", 400, /input is "images", got "pixels"/, () => sendBytes({ input: { name: "pixels" } })],
    ["a wrong type", 422, /UINT8 or FP32, got "INT64"/, () => sendBytes({ input: { datatype: "INT64" } })],
    ["a wrong rank", 422, /images are \[N,H,W,3\]/, () => sendBytes({ input: { shape: [2, PIXELS] } })],
    [
      "wrong channels",
      422,
      /tiny takes \[N,32,32,3\]/,
      () => sendBytes({ input: { shape: [2, SIDE, 3, SIDE] } }),
    ],
    [
      "a wrong product",
      400,
      /is 3072 bytes, got 6144/,
      () => sendBytes({ input: { shape: [1, SIDE, SIDE, 3] } }),
    ],
    [
      "too many images",
      413,
      /limit maxImages is 2000/,
      () => sendBytes({ pixels: noise(2001 * 3), input: { shape: [2001, 1, 1, 3] } }),
    ],
    ["no JSON", 400, /is not JSON/, () => send("hello", JSON_TYPE)],
    [
      "compression",
      415,
      /content-encoding "gzip" is not taken/,
      () => sendBytes({ headers: { "content-encoding": "gzip" } }),
    ],
    [
      "another media type",
      415,
      /"application\/vnd.msgpack": expected/,
      () => sendBytes({ headers: { "content-type": "application/vnd.msgpack" } }),
    ],
    [
      "a header's length that is none",
      400,
      /"soon" is no part/,
      () => sendBytes({ headers: { [INFERENCE_HEADER]: "soon" } }),
    ],
    ["one beyond the body", 400, /is no part/, () => sendBytes({ headers: { [INFERENCE_HEADER]: "99999" } })],
    [
      "JSON too long before bytes",
      413,
      /at most 65536 bytes, not 70000/,
      () => sendBytes({ count: 30, headers: { [INFERENCE_HEADER]: "70000" } }),
    ],
    [
      "JSON too long",
      413,
      /half of maxBodyBytes, 4000000: send the tensor as bytes/,
      () => send(" ".repeat(4_000_001), JSON_TYPE),
    ],
    ["too many bytes", 413, /limit maxBodyBytes is 8000000/, () => sendBytes({ pixels: noise(8_000_000) })],
    [
      "bytes without the header",
      400,
      /is no UTF-8|is not JSON/,
      () => send(new Uint8Array([...Buffer.from('{"inputs":[]}'), 0xff])),
    ],
    [
      "no time",
      504,
      /not answered within 0.001 ms|its turn came after its deadline/,
      () => sendBytes({ more: { parameters: { timeout: 1 } } }),
    ],
    [
      "classification",
      400,
      /classification/,
      () => sendBytes({ more: { outputs: [{ name: "logits", parameters: { classification: 2 } }] } }),
    ],
  ])("%s: %i", async (_what, status, message, ask) => {
    const [found, error] = await refusalOf(await ask());
    expect(error).toMatch(message);
    expect(found).toBe(status);
  });

  test("are counted and leave nothing held", async () => {
    const metrics = async () => (await get("/metrics", {})).text();
    await expect.poll(metrics).toContain("funmatch_held_bytes 0");
    expect(await metrics()).toMatch(
      /funmatch_requests_total\{model="tiny",team="local",purpose="eval",code="ok"\} [1-9]/,
    );
    expect(await metrics()).toMatch(
      /funmatch_requests_total\{model="tiny",team="local",purpose="train",code="shape_mismatch"\} [1-9]/,
    );
  });
});

describe("our own trainer", () => {
  test.each([true, false])("learns from it, tensors as bytes: %s", async (binary) => {
    for (const path of ["", "/versions/1"]) {
      const teacher = await openOipTeacher({
        url: `oip+${service.url}/v2/models/tiny${path}`,
        hints: oipSchema.parse({ binary }),
        resolution: 64,
        key: "open-sesame",
        patience: { attempts: 1, firstDelayMs: 5 },
      });
      onTestFinished(() => teacher.close());
      expect(teacher.card).toMatchObject({ id: "tiny", classes: 7, version: `oip:tiny:1,${version}` });
      expect(teacher.card.input).toMatchObject({ resolution: SIDE, resizes: false });
      expect(teacher.limits.maxImages).toBe(2000);
      const data = new Uint8Array(new SharedArrayBuffer(2 * PIXELS));
      data.set(noise(2 * PIXELS));
      const shape: [number, number, number, number] = [2, SIDE, SIDE, 3];
      const { logits } = await teacher.ask(
        { data, shape, digest: digestOf(data) },
        { purpose: "train", requestId: "step-1" },
      );
      expect([...logits]).toEqual((await answerOf(await sendBytes({ count: 2 }))).logits);
    }
  });
});
