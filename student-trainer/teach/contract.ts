import { randomUUID } from "node:crypto";
import type { Views } from "../data/batch.ts";
import { chunksOf, viewsOf } from "../data/layers.ts";
import type { ViewPool } from "../data/pool.ts";
import type { Source } from "../data/source.ts";
import { percent } from "../report/words.ts";
import { askPieces, largestChunk } from "./chunks.ts";
import type { Teacher } from "./client.ts";
import { isBetter, type Look, lookAt } from "./near-chance.ts";

/** What was agreed with one teacher before the first step, and how it does on images whose labels are known. */
export interface Contract {
  url: string;
  /** Name and value, for the terminal and the report. */
  terms: [name: string, value: string][];
  /** What looks wrong; nothing with a good teacher. */
  warnings: string[];
}

/** Images that each teacher is asked about. */
const IMAGES = 64;
/** They are taken from so many places of the split, since data are often sorted by class. */
const PLACES = 32;

export interface ContractOptions {
  teachers: Teacher[];
  /** Images in one request to each. */
  chunks: number[];
  pool: Pick<ViewPool, "evaluation" | "release" | "sources">;
  /** Whose labels the answers are compared with. */
  split: string;
  signal: AbortSignal;
}

/**
 * Checks before the first step what teachers and run have agreed on, and asks each for one batch of evaluation views: a
 * teacher that is near chance there is likely shown other pixels, or read by other labels, than it was trained with.
 *
 * @throws TeacherError when an answer fails a check
 */
export async function checkContract(o: ContractOptions): Promise<Contract[]> {
  const source = o.pool.sources[o.split]!;
  const { labels, views } = await labelledViews(o, source);
  return Promise.all(
    o.teachers.map(async (teacher, t) => {
      const asked = views[t]!;
      const found = await looked(teacher, asked, labels, source.labels, o.signal);
      return contractOf(teacher, {
        chunk: o.chunks[t]!,
        side: asked.shape[1],
        source,
        split: o.split,
        found,
      });
    }),
  );
}

/** Views of images from all over a split for each teacher, with the images' labels; corrupt ones are left out. */
async function labelledViews(
  { pool, split, teachers }: ContractOptions,
  { size }: Source,
): Promise<{ labels: Int32Array; views: Views[] }> {
  const count = Math.min(IMAGES, size);
  const places = Math.min(PLACES, count);
  const labels: number[] = [];
  const kept: Uint8Array[][] = teachers.map(() => []);
  const sides: number[] = [];
  const bounds = (place: number, of: number) => Math.floor((place * of) / places);
  const made = Array.from({ length: places }, (_, place) =>
    pool.evaluation(split, bounds(place, size), bounds(place + 1, count) - bounds(place, count)),
  );
  for (const batch of await Promise.all(made)) {
    for (const [i, label] of batch.labels.entries()) {
      if (label < 0) continue;
      labels.push(label);
      for (const [t, { data, shape }] of batch.teacherViews.entries()) {
        const bytes = data.length / shape[0];
        kept[t]!.push(data.slice(i * bytes, (i + 1) * bytes));
        sides[t] = shape[1];
      }
    }
    pool.release(batch);
  }
  return {
    labels: Int32Array.from(labels),
    views: kept.map((images, t) => viewsOf(new Uint8Array(Buffer.concat(images)), images.length, sides[t]!)),
  };
}

/** What networks are mostly trained with. */
const RANGES: [number, number][] = [
  [-1, 1],
  [0, 1],
  [0, 255],
];

async function looked(
  teacher: Teacher,
  views: Views,
  labels: Int32Array,
  names: string[],
  signal: AbortSignal,
): Promise<Look> {
  const pieces = (asked: Views) =>
    chunksOf(asked, largestChunk(teacher.limits, asked.data.length / asked.shape[0]));
  const call = () => ({ purpose: "eval" as const, requestId: `${randomUUID()}-contract`, signal });
  const look = async (asked: Views, ask: Teacher["ask"]) =>
    lookAt((await askPieces(ask, asked, pieces(asked), call())).logits, labels, names);
  const found = await look(views, teacher.ask);
  const { askInRange } = teacher;
  let best: { found: Look; words: string } | undefined;
  for (const range of askInRange ? RANGES : []) {
    if (range.join() === teacher.card.input.valueRange.join()) continue;
    const other = await look(views, (asked, how) => askInRange!(range, asked, how));
    if (!isBetter(other, found) || (best && other.accuracy <= best.found.accuracy)) continue;
    const words = `with valueRange: [${range.join(", ")}] it is right about ${percent(other.accuracy)}`;
    best = { found: other, words: `${words}, as it is set about ${percent(found.accuracy)}` };
  }
  if (best) return { ...found, suspicions: [best.words] };
  if (!found.nearChance) return found;
  const exchanged = await look(redAndBlueExchanged(views), teacher.ask);
  if (exchanged.nearChance) return found;
  const words = `with red and blue exchanged it is right about ${percent(exchanged.accuracy)}: it was trained on BGR`;
  return { ...found, suspicions: [words] };
}

function redAndBlueExchanged({ data, shape }: Views): Views {
  const other = new Uint8Array(data);
  for (let i = 0; i < other.length; i += 3) [other[i], other[i + 2]] = [data[i + 2]!, data[i]!];
  return viewsOf(other, shape[0], shape[1]);
}

function contractOf(
  { url, card, limits, echoesDigest }: Teacher,
  o: { chunk: number; side: number; source: Source; split: string; found: Look },
): Contract {
  const { input } = card;
  const { images, accuracy, chance, nearChance, suspicions } = o.found;
  const same = card.labels?.every((label, i) => label === o.source.labels[i]);
  const labels =
    same === undefined ? "unnamed by the teacher" : same ? "as the data's" : "named otherwise by the teacher";
  const scaled = input.resolution === o.side ? "" : `, asked at ${o.side} px, which it resizes`;
  return {
    url,
    terms: [
      ["version", card.version],
      ["classes", `${card.classes}, ${labels}`],
      ["input", `${input.resolution} px${scaled}; 0…255 become ${input.valueRange.join("…")} inside`],
      ["dtypes", `${input.dtypes.join(", ")}; uint8 is sent`],
      ["requests", `${o.chunk} images; at most ${limits.maxImages}, or ${limits.maxBodyBytes} bytes`],
      [
        "answers",
        echoesDigest ? "verified by the digest of what they are for" : "unverified: they carry no digest",
      ],
      ["bit-stable", card.bitStable ? "yes" : "no: a resumed run may differ in the last bits"],
      ["accuracy", `${percent(accuracy)} of ${images} images of ${o.split} (chance ${percent(chance)})`],
    ],
    warnings: suspicions.map((words) =>
      nearChance
        ? `${url} is right about ${percent(accuracy)}, near chance (${percent(chance)}): ${words}`
        : `${url}: ${words}`,
    ),
  };
}

/** Contracts as lines for the terminal. */
export function contractLines(contracts: Contract[]): string[] {
  return contracts.flatMap(({ url, terms, warnings }) => [
    `contract with ${url}: ${warnings.length === 0 ? "OK" : "LOOK AT THIS"}`,
    ...terms.map(([name, value]) => `  ${name.padEnd(11)}${value}`),
    ...warnings.map((warning) => `  WARNING: ${warning}`),
  ]);
}
