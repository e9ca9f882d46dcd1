import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Benchmark, type Row, writeResults } from "./benchmark.ts";
import { type Environment, openEnvironment } from "./environment.ts";
import { type Clients, type Duration, type Measured, measureBare, startClients } from "./serve/measure.ts";
import { makeNetwork, type ServedNetwork } from "./serve/networks.ts";
import { signalTree } from "./serve/process-tree.ts";
import { rowOf, type Tried } from "./serve/row.ts";
import { type Server, type Setup, startBare, startServer } from "./serve/sides.ts";

/** What is served, and under which load. */
interface Plan {
  network: string;
  clients: number[];
  setups: Setup[];
  /** Of each setup, to find every side's best one. */
  trial: Duration;
  /** Of each side in each round. */
  turn: Duration;
  rounds: number;
}

/** The peers, and what they compute with. KServe and torch (torch.compile, the large networks) are most of 6 GB. */
export const LIGHT = ["litserve==0.2.19", "onnxruntime==1.32.0", "onnx==1.23.2"];
const WHOLE = [
  "litserve==0.2.19",
  "kserve==0.21.0",
  "onnxruntime==1.32.0",
  "onnx==1.23.2",
  "torch==2.15.0",
  "torchvision==0.29.2",
];

const CLIENTS = [1, 4, 16];
const SMALL = { trial: { warmUpSeconds: 1, seconds: 3 }, turn: { warmUpSeconds: 1, seconds: 3 }, rounds: 3 };
const LARGE = { trial: { warmUpSeconds: 1, seconds: 5 }, turn: { warmUpSeconds: 1, seconds: 7 }, rounds: 3 };

/** As many of a peer's requests share a pass at most; torch.compile compiles each size anew, so it has fewer. */
const MERGED: Record<string, number[]> = { onnxruntime: [1, 4], "torch.compile": [1, 2] };

function setups(engines: string[]): Setup[] {
  const ours = [1, 4].map(
    (merged): Setup => ({ side: "ours", engine: "ours", merged, protocol: "funmatch" }),
  );
  const peers = (["LitServe", "KServe"] as const).flatMap((side) =>
    engines.flatMap((engine) =>
      MERGED[engine]!.map((merged): Setup => ({ side, engine, merged, protocol: "bytes" })),
    ),
  );
  return [...ours, ...peers, { side: "KServe", engine: "onnxruntime", merged: 4, protocol: "v2" }];
}

const PLANS: Plan[] = [
  {
    network: "mobilenetv3-small",
    clients: CLIENTS,
    setups: setups(["onnxruntime", "torch.compile"]),
    ...SMALL,
  },
  { network: "bit-r50", clients: CLIENTS, setups: setups(["onnxruntime", "torch.compile"]), ...LARGE },
  { network: "resnet50", clients: [4], setups: setups(["onnxruntime"]), ...LARGE },
];
const brief = { warmUpSeconds: 0.2, seconds: 0.5 };
const TINY: Plan = {
  network: "tiny",
  clients: [2],
  setups: setups(["onnxruntime"]).filter(({ side, merged }) => side !== "KServe" && merged === 4),
  trial: brief,
  turn: brief,
  rounds: 1,
};

export const serve: Benchmark = {
  name: "serve",
  what: "the teacher service against LitServe and KServe's Python server: 32 images of 128x128 a request",
  needs: "the first time it installs 6 GB of Python packages (LitServe, KServe, torch) into the user's cache",
  async run({ tiny }) {
    const environment = await openEnvironment({
      name: "serve",
      packages: tiny ? LIGHT : WHOLE,
      scripts: join(import.meta.dirname, "serve"),
      size: tiny ? undefined : "6 GB",
    });
    const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-serve-"));
    const clients = startClients();
    const rows: Row[] = [];
    try {
      for (const plan of tiny ? [TINY] : PLANS) {
        rows.push(...(await comparison(plan, folder, environment, clients)));
        // After each network: whoever ends it early has what there is.
        if (!tiny) writeResults(serve.name, { node: process.versions.node, ...environment.versions }, rows);
      }
    } finally {
      clients.stop();
      rmSync(folder, { recursive: true });
    }
    return rows;
  },
};

/** One network: the best setup of each side, then all sides turn about. */
async function comparison(
  plan: Plan,
  folder: string,
  environment: Environment,
  clients: Clients,
): Promise<Row[]> {
  const network = await makeNetwork(plan.network, folder, environment);
  const o = { environment, threads: availableParallelism() };
  const tried = await trial(plan, network, o, clients);
  const best = [...new Set(plan.setups.map(({ side }) => side))].map((side) => bestOf(tried, side));
  const servers: Server[] = [];
  const bare = await startBare(network, o.threads);
  try {
    for (const setup of best) {
      servers.push(await startServer(setup, network, o));
      signalTree(servers.at(-1)!.pid, "SIGSTOP");
    }
    const found = plan.clients.map(() => new Map<Setup | "bare", Measured[]>());
    for (let round = 0; round < plan.rounds; round++) {
      for (const [i, count] of plan.clients.entries()) {
        const keep = (side: Setup | "bare", measured: Measured) =>
          found[i]!.set(side, [...(found[i]!.get(side) ?? []), measured]);
        for (const server of servers)
          keep(server.setup, await clients.measure(server, network, count, plan.turn));
        keep("bare", await measureBare(bare, plan.turn));
      }
    }
    return plan.clients.map((count, i) => rowOf(network, count, best, found[i]!, tried));
  } finally {
    bare.stop();
    await stopAll(servers);
  }
}

async function trial(
  { setups, trial, clients: counts }: Plan,
  network: ServedNetwork,
  o: { environment: Environment; threads: number },
  clients: Clients,
): Promise<Tried[]> {
  const tried: Tried[] = [];
  const count = counts.includes(4) ? 4 : counts[0]!;
  for (const setup of setups) {
    const server = await startServer(setup, network, o);
    try {
      const { imagesPerSecond } = await clients.measure(server, network, count, trial);
      tried.push({ setup, clients: count, imagesPerSecond });
      console.log(
        `  ${network.name}: ${Object.values(setup).join(" ")}: ${imagesPerSecond.toFixed(0)} images/s`,
      );
    } finally {
      await stopAll([server]);
    }
  }
  return tried;
}

function bestOf(tried: Tried[], side: Setup["side"]): Setup {
  return tried
    .filter(({ setup }) => setup.side === side)
    .reduce((best, each) => (each.imagesPerSecond > best.imagesPerSecond ? each : best)).setup;
}

async function stopAll(servers: Server[]): Promise<void> {
  for (const server of servers) {
    signalTree(server.pid, "SIGCONT");
    await server.stop();
  }
}
