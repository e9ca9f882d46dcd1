import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { centralCrop, decode, resizeBilinear } from "@funmatch/views";
import { startTeacherService } from "funmatch-teacher/dev";
import { expect, onTestFinished, test } from "vitest";
import { python } from "../e2e/python.ts";
import { bodyOf, logitsOf, post } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const PACKAGES = ["requests==2.34.2", "msgpack==1.2.4"];
const SIDE = 64;
const COUNT = 12;
const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The code of the page, which is nowhere else. */
function codeOfPage(): string {
  const page = readFileSync(file("../../docs/clients/python.md"), "utf8");
  const code = /^```python\n([\s\S]*?)^```$/m.exec(page)?.[1];
  if (code === undefined) throw new Error("docs/clients/python.md has no Python in it");
  return code;
}

/** Photographs where they are at hand, else noise: [COUNT,SIDE,SIDE,3] uint8. */
async function pictures(): Promise<Uint8Array<ArrayBuffer>> {
  const folder = file("../../../shared/data/clothing/test/dress");
  const pixels = noise(COUNT * SIDE * SIDE * 3);
  if (!existsSync(folder)) return pixels;
  for (const [i, name] of readdirSync(folder).slice(0, COUNT).entries()) {
    const image = await decode(readFileSync(join(folder, name)));
    const box = centralCrop(image.height, image.width, Math.min(image.height, image.width));
    resizeBilinear(image, box, SIDE, SIDE, false, pixels, i * SIDE * SIDE * 3);
  }
  return pixels;
}

test("the Python client of the docs gets the logits of a batch of photographs, and the service's refusals", async () => {
  const { configPath } = await writeTeacher({ extra: 'tokens: ["a-key"]' });
  const service = await startTeacherService(configPath);
  onTestFinished(() => void service.close());
  const pixels = await pictures();
  const shape = [COUNT, SIDE, SIDE, 3];
  const [code, data] = ["client.py", "pixels"].map((name) => join(dirname(configPath), name)) as [
    string,
    string,
  ];
  const source = codeOfPage();
  writeFileSync(code, source);
  writeFileSync(data, pixels);
  expect(source.trim().split("\n").length).toBeLessThan(40);
  expect([...source.matchAll(/^import (\w+)/gm)].map((found) => found[1])).toEqual([
    ...["hashlib", "time", "msgpack", "requests"],
  ]);

  const args = [code, `${service.url}/v1/models/tiny`, "a-key", data, JSON.stringify(shape)];
  const said = JSON.parse(python(file("python_client.py"), args, PACKAGES));
  const answer = await post(service.url, bodyOf({ pixels, shape }), {
    headers: { authorization: "Bearer a-key" },
  });
  expect(said.version).toBe(answer.headers.get("x-funmatch-version"));
  expect(said.logits).toHaveLength(COUNT);
  expect(said.logits.flat()).toEqual([...(await logitsOf(answer))]);
  expect(said.refusals).toEqual(["401", "400"]);
});
