import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { bodyOf } from "./teacher-service/ask.ts";
import { noise } from "./teacher-service/tiny-teacher.ts";

const [cfg, id, side] = process.argv.slice(2) as [string, string, string];
const s = Number(side);
const body = bodyOf({ pixels: noise(s * s * 3), shape: [1, s, s, 3] });
for (let k = 0; k < Number(process.argv[5] ?? 3); k++) {
  const t0 = performance.now();
  const child = spawn(process.execPath, ["teacher-service/cli.ts", "serve", cfg], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let listening = 0,
    ready = "",
    url = "";
  const heard = Promise.withResolvers<void>();
  createInterface({ input: child.stdout! }).on("line", (l) => {
    const j = JSON.parse(l);
    if (j.msg === "listening") {
      listening = performance.now() - t0;
      url = j.url;
      heard.resolve();
    }
    if (j.msg === "model ready") ready = JSON.stringify([j.seconds, j.probedBefore]);
  });
  await heard.promise;
  const retries: string[] = [];
  for (;;) {
    const r = await fetch(`${url}/v1/models/${id}/logits`, {
      method: "POST",
      headers: { "content-type": "application/vnd.msgpack" },
      body,
    });
    await r.arrayBuffer();
    if (r.ok) break;
    retries.push(r.headers.get("retry-after")!);
    await new Promise((d) => setTimeout(d, 50));
  }
  console.log(
    id,
    "listening",
    Math.round(listening),
    "first answer",
    Math.round(performance.now() - t0),
    ready,
    [...new Set(retries)].join(","),
  );
  child.kill("SIGTERM");
  await new Promise((d) => child.once("exit", d));
}
