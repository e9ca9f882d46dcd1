import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNpz, writeNpz } from "@funmatch/models";
import { afterEach, describe, expect, test } from "vitest";

const golden = new URL("../golden/", import.meta.url).pathname;
const command = new URL("../../student-trainer/parity/parity.ts", import.meta.url).pathname;
const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

function parity(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [command, ...args], { encoding: "utf8" });
}

function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), "parity-"));
  made.push(folder);
  cpSync(golden, folder, { recursive: true });
  return folder;
}

/** Verdicts by row. */
function verdicts(stdout: string): Record<string, string> {
  const rows = stdout.split("\n").filter((line) => /^[a-z_]+ .*\b(ok|nudged|FAIL)$/.test(line));
  return Object.fromEntries(rows.map((line) => [line.split(" ")[0]!, line.split(" ").at(-1)!]));
}

describe("npm run parity -- --golden DIR", () => {
  test("every row of the bundled vectors is inside its tolerance, the trajectory perhaps only nudged", () => {
    const { status, stdout } = parity("--golden", golden);
    expect(verdicts(stdout)).toEqual({
      bit_forward: "ok",
      distances: "ok",
      schedules: "ok",
      // Which way the last bits fall, and so whether the plain run is inside, is the processor's matter.
      trajectory: expect.stringMatching(/^(ok|nudged)$/),
      preprocess: "ok",
      mixup: "ok",
      inception_crop: "ok",
    });
    expect(status).toBe(0);
  });

  test("a wrong value in any file fails its row, and no other, with exit code 1", async () => {
    const folder = copy();
    // A golden trajectory of one step, so that looking for its path among the last bits ends soon.
    for (const file of ["trajectory_mu_bf16.json", "trajectory_mu_f32.json"]) {
      const content = JSON.parse(readFileSync(join(folder, file), "utf8"));
      content.steps = content.steps.slice(0, 1);
      writeFileSync(join(folder, file), JSON.stringify(content));
    }
    rmSync(join(folder, "trajectory_mu_f32_final_params.npz"));
    const schedules = JSON.parse(readFileSync(join(folder, "schedules.json"), "utf8"));
    schedules.rsqrt.mult[3] += 1e-4;
    writeFileSync(join(folder, "schedules.json"), JSON.stringify(schedules));
    await change(join(folder, "distances.npz"), "hard", (data) => {
      data[2]! *= 1.001;
    });
    await change(join(folder, "mixup.npz"), "mixed2", (data) => {
      data[100] = 255 - data[100]!;
    });
    const { status, stdout } = parity("--golden", folder);
    expect(verdicts(stdout)).toEqual({
      bit_forward: "ok",
      distances: "FAIL",
      schedules: "FAIL",
      // Which way the last bits fall, and so whether the plain run is inside, is the processor's matter.
      trajectory: expect.stringMatching(/^(ok|nudged)$/),
      preprocess: "ok",
      mixup: "FAIL",
      inception_crop: "ok",
    });
    expect(stdout).toMatch(/^ {2}hard .*FAIL/m);
    expect(status).toBe(1);
  });

  test("a directory that lacks files is said so in one line", () => {
    const folder = copy();
    rmSync(join(folder, "mixup.npz"));
    rmSync(join(folder, "distances.npz"));
    const { status, stderr } = parity("--golden", folder);
    expect(stderr).toBe(`${folder} is no directory of golden vectors: it lacks distances.npz, mixup.npz\n`);
    expect(status).toBe(1);
    expect(parity("--golden", "/nowhere").stderr).toBe("there is no directory /nowhere\n");
    expect(parity().stderr).toBe("say which golden vectors: npm run parity -- --golden DIR\n");
  });
});

async function change(
  path: string,
  name: string,
  edit: (data: Float32Array | Uint8Array) => void,
): Promise<void> {
  const arrays = await readNpz(path);
  edit(arrays.get(name)!.data as Float32Array | Uint8Array);
  await writeNpz(path, arrays);
}
