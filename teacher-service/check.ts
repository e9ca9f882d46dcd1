import { UserError } from "@funmatch/config";
import { ArrayFileError, bitConfigOf, loadBitWeights, parameterCount } from "@funmatch/models";
import type { Card } from "@funmatch/wire";
import { openSecrets, type TeacherConfig } from "./config.ts";
import { openLog } from "./log.ts";
import { openModel } from "./model.ts";
import { useThreads } from "./serve.ts";

/**
 * Reads everything that `serve` would need, except the engine.
 *
 * @returns a line for each model
 * @throws UserError with the first fault
 */
export async function check(written: TeacherConfig): Promise<string> {
  const config = openSecrets(written);
  const lines: string[] = [];
  for (const [id, model] of Object.entries(config.models)) {
    const weights = await loadBitWeights(model.path).catch((error: unknown) => {
      throw isFileFault(error) ? new UserError(`model ${id}: ${error.message}`) : error;
    });
    const { classes, blocks, width } = bitConfigOf(weights);
    if (model.labels && model.labels.length !== classes)
      throw new UserError(
        `models.${id}.labels: ${model.labels.length} are given, the weights have ${classes} classes`,
      );
    lines.push(
      `${id}: BiT of ${blocks.join("-")} units, width ${width}, ${classes} classes, ${parameterCount(weights)} parameters, ${model.resolution} px`,
    );
  }
  return lines.join("\n");
}

/**
 * The cards as a ready service would show them.
 *
 * @throws UserError when a model cannot be loaded
 */
export async function cards(config: TeacherConfig): Promise<Card[]> {
  useThreads(config);
  const log = openLog("silent");
  const models = Object.entries(config.models).map(([id, model]) =>
    openModel(id, model, { batchSizes: config.batchSizes, log }),
  );
  for (const model of models) {
    await model.loaded.catch((error: unknown) => {
      throw new UserError(
        `model ${model.card().id}: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  }
  return models.map((model) => model.card());
}

function isFileFault(error: unknown): error is Error {
  return error instanceof ArrayFileError || (error instanceof Error && "code" in error);
}
