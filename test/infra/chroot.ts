/**
 * Builds the image's root file system from the container file's own steps, without a container builder, and has the
 * service answer from it as a cluster would run it: not root, no privileges to gain, nothing writable but /tmp, no
 * network settings of its own. By hand, as root, since it takes minutes (`apt-get install mmdebstrap`):
 *
 *     node test/infra/chroot.ts FOLDER          # again with the same folder: only the second half
 *     node test/infra/chroot.ts FOLDER cuda     # builds only; it computes where there is a GPU
 */
import { join, resolve } from "node:path";
import { stagesOf } from "./container-file.ts";
import { build } from "./root-file-system.ts";
import { serveAll } from "./serve-read-only.ts";

const [into, engine = "cpu"] = process.argv.slice(2);
if (into === undefined) throw new Error("say where the root file system is to be made");
const project = join(import.meta.dirname, "..", "..");
const stages = stagesOf();
const { folder, done } = build(stages, project, resolve(into, engine), { ENGINE: engine });
for (const { step, seconds } of done)
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${step.slice(0, 100)}`);
const last = stages.at(-1);
if (engine === "cpu" && last !== undefined) await serveAll(folder, last);
