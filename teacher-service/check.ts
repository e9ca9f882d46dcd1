import { UserError } from "@funmatch/config";
import type { Card } from "@funmatch/wire";
import { openSecrets, type TeacherConfig } from "./config/config.ts";
import { type Model, openModel } from "./life/model.ts";
import { openLog } from "./observe/log.ts";
import { passOptions } from "./queue/pass-options.ts";
import { readKeys } from "./request/key-file.ts";
import { useThreads } from "./serve.ts";

/**
 * Loads everything that `serve` would, one model after the other, and computes passes of every batch size.
 *
 * @returns the cards in words, with the speed of each batch size
 * @throws UserError with the first fault
 */
export async function check(config: TeacherConfig): Promise<string> {
  const opened = openSecrets(config);
  if (opened.keys !== undefined) await readKeys(opened.keys);
  const models = await loadAll(opened);
  return models.map((model) => inWords(model.card(), model.imagesPerSecond())).join("\n\n");
}

/**
 * The cards as a ready service would show them.
 *
 * @throws UserError when a model cannot be loaded
 */
export async function cards(config: TeacherConfig): Promise<Card[]> {
  return (await loadAll(config)).map((model) => model.card());
}

async function loadAll(config: TeacherConfig): Promise<Model[]> {
  const threads = useThreads(config);
  const log = openLog("silent");
  const models: Model[] = [];
  // One at a time: the figures of one would suffer from the loading of another.
  for (const [id, model] of Object.entries(config.models)) {
    const opened = openModel(id, model, { ...passOptions(config, model), threads, log });
    await opened.load().catch((error: unknown) => {
      throw new UserError(`model ${id}: ${error instanceof Error ? error.message : String(error)}`);
    });
    models.push(opened);
  }
  return models;
}

function inWords(card: Card, speeds: Record<number, number>): string {
  const { resolution, valueRange, resizes } = card.input;
  const runtime = Object.entries(card.runtime).map(([name, value]) => `${name} ${value}`);
  return [
    `${card.id}: ready, ${card.version}`,
    `  ${card.classes} classes${card.labels ? ` (${someOf(card.labels)})` : ""}, ${card.parameters} parameters`,
    `  images of ${resolution}x${resolution}, 0..255 become ${valueRange[0]}..${valueRange[1]}, other sizes are ${resizes ? "resized" : "refused"}`,
    `  ${runtime.join(", ")}`,
    card.bitStable
      ? "  bit-stable: the same image has the same logits, to the last bit, in every batch"
      : "  not bit-stable: the last bits of logits depend on the batch",
    ...Object.entries(speeds).map(
      ([size, speed]) =>
        `  batch ${size.padStart(4)}  ${speed.toFixed(speed < 10 ? 1 : 0).padStart(6)} images/s`,
    ),
  ].join("\n");
}

const SHOWN = 10;

function someOf(labels: string[]): string {
  return labels.length <= SHOWN ? labels.join(", ") : `${labels.slice(0, SHOWN).join(", ")}, …`;
}
