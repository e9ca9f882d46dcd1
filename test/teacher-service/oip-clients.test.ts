import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startTeacherService } from "funmatch-teacher/dev";
import { expect, onTestFinished, test } from "vitest";
import { python } from "../e2e/python.ts";
import { bodyOf, logitsOf, post } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const PACKAGES = ["tritonclient[http]==2.73.0", "numpy==2.2.6"];

interface Seen {
  logits: Record<string, number[][]>;
  refused: Record<string, [status: string, message: string] | null>;
  [what: string]: unknown;
}

/** A service, a file of pixels, and the logits of these by our own protocol. */
async function served() {
  const { configPath } = await writeTeacher({});
  const service = await startTeacherService(configPath);
  onTestFinished(async () => void (await service.close()));
  const pixels = noise(4 * 32 * 32 * 3);
  const file = join(dirname(configPath), "pixels.bin");
  writeFileSync(file, pixels);
  const ours = await logitsOf(await post(service.url, bodyOf({ pixels, shape: [4, 32, 32, 3] })));
  const rows = [0, 1, 2, 3].map((i) => [...ours.subarray(i * 7, i * 7 + 7)]);
  return { url: service.url, file, rows };
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

test("NVIDIA's own client sees a server of its protocol", async () => {
  const { url, file, rows } = await served();
  const seen = JSON.parse(python(script("triton_client.py"), [new URL(url).host, file], PACKAGES)) as Seen;

  const card = (await (await fetch(`${url}/v1/models/tiny`)).json()) as { version: string };
  expect(seen).toMatchObject({
    ...{ live: true, ready: true, modelReady: true, versionReady: true },
    ...{ otherReady: false, otherVersionReady: false },
    server: { name: "funmatch-teacher", extensions: ["binary_tensor_data", "model_configuration"] },
    model: { name: "tiny", versions: ["1", card.version] },
    config: { max_batch_size: 1024, input: [{ name: "images", data_type: "TYPE_UINT8", dims: [32, 32, 3] }] },
    ...{ id: "step-7", modelVersion: card.version, outputBytes: { binary_data_size: 4 * 7 * 4 } },
  });

  for (const [what, logits] of Object.entries(seen.logits)) expect(logits, what).toEqual(rows);

  const expected: Record<string, [string, RegExp]> = {
    shape: ["422", /images of \[32,32,2\]: tiny takes \[N,32,32,3\]/],
    rank: ["422", /images are \[N,H,W,3\], got \[32,32,3\]/],
    type: ["422", /UINT8 or FP32, got "INT32"/],
    name: ["400", /input is "images", got "pixels"/],
    output: ["400", /output is "logits", got "scores"/],
    twice: ["400", /one input "images", got 2/],
    model: ["404", /no model "none" here; there is tiny/],
    version: ["404", /no version "2" of tiny here/],
    classification: ["400", /classification extension is not spoken here/],
    gzip: ["415", /content-encoding "gzip" is not taken/],
    time: ["504", /not answered within 0.001 ms|its turn came after its deadline/],
    purpose: ["400", /parameters.purpose/],
  };
  expect(Object.keys(seen.refused)).toEqual(Object.keys(expected));
  for (const [what, [status, message]] of Object.entries(expected)) {
    expect(seen.refused[what]?.[0], what).toBe(status);
    expect(seen.refused[what]?.[1], what).toMatch(message);
  }
}, 300_000);

/** A Python that has `kserve` (0.21.0 was tried): its install is too large for every test run. */
const kserve = process.env.FUNMATCH_KSERVE_PYTHON;
test.skipIf(!kserve)(
  "KServe's own client, too (skipped unless FUNMATCH_KSERVE_PYTHON names a Python with kserve)",
  async () => {
    const { url, file, rows } = await served();
    const said = execFileSync(kserve!, [script("kserve_client.py"), url, file], { encoding: "utf8" });
    const seen = { live: true, ready: true, modelReady: true, id: "step-9" };
    expect(JSON.parse(said)).toEqual({ ...seen, logits: [rows, rows, rows, rows] });
  },
);
