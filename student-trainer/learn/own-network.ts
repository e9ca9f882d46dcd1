import { pathToFileURL } from "node:url";
import { UserError } from "@funmatch/config";
import { isStatistic, type Network, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { checkedResult, checkedWeights } from "./own-network-checks.ts";
import type { StudentNetwork } from "./student-network.ts";

/** A network of the user's own, as plain data. */
export interface OwnModel {
  kind: "module";
  /** The ES module that exports `init` and `apply`. */
  file: string;
  resolution: number;
  classes: number;
  options: Record<string, unknown>;
}

type Exports = Partial<Record<"init" | "apply", unknown>>;
type Call = (...args: unknown[]) => unknown;

/**
 * Loads a user's module, which docs/students.md describes.
 *
 * @throws UserError when it cannot be loaded or does not export both functions; the network that it gives throws
 *   UserError, with the line where it can tell, for whatever is wrong in what they return
 */
export async function openOwnNetwork({ file, ...model }: OwnModel): Promise<StudentNetwork> {
  const exported = await load(file);
  const { resolution, classes, options } = model;
  const given = { classes, resolution, options };
  let names: string[] = [];
  /** Where the module was when something was refused that it could not see. */
  let place = file;

  const inModule = <T>(name: string, fn: () => T): T => {
    try {
      return fn();
    } catch (error) {
      place = placeIn(file, error);
      throw error instanceof UserError ? error : new UserError(`${place}: ${name}: ${wordsOf(error)}`);
    }
  };
  const init = (normal: unknown): Weights => {
    const made = () => inModule("init", () => (exported.init as Call)({ ...given, normal }));
    const weights = checkedWeights(file, made(), made());
    names = Object.keys(weights);
    return weights;
  };
  const apply: Network = (params, x, { training }) => {
    const asked = new Set<string>();
    const watched = new Proxy(params, {
      get(target, name) {
        if (typeof name === "string") asked.add(name);
        return Reflect.get(target, name) as unknown;
      },
    });
    let returned: unknown;
    try {
      returned = inModule("apply", () => (exported.apply as Call)(watched, x, { tf, training, ...given }));
    } catch (error) {
      const missing = [...asked].find((name) => !names.includes(name));
      if (missing === undefined || !(error instanceof UserError)) throw error;
      throw new UserError(`${error.message} (it asked for ${missing}, which init did not make)`);
    }
    const result = checkedResult(file, returned, { images: x.shape[0], classes, params, training });
    const unused = names.find((name) => !asked.has(name));
    if (training && unused !== undefined)
      throw new UserError(`${file}: apply never uses ${unused}, which init made`);
    return result;
  };
  return {
    init,
    apply,
    explain(error) {
      if (!(error instanceof Error) || error instanceof UserError) return error;
      if (error.name === "CaptureError") return new UserError(`${place}: apply: ${error.message}`);
      const op = /^Cannot compute gradient: gradient function not found for (\w+)/.exec(error.message)?.[1];
      if (op)
        return new UserError(`${file}: apply: the way from parameters to logits has no gradient at ${op}`);
      if (!error.message.startsWith("Cannot compute gradient of")) return error;
      const name = withoutGradient(apply, init(zeros), resolution);
      return new UserError(`${file}: apply: no gradient of the logits reaches ${name}`);
    },
  };
}

async function load(file: string): Promise<Exports> {
  let exported: Exports;
  try {
    exported = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Exports;
  } catch (error) {
    throw new UserError(`${placeIn(file, error)} cannot be loaded: ${wordsOf(error)}`);
  }
  for (const name of ["init", "apply"] as const) {
    if (typeof exported[name] === "function") continue;
    const others = Object.keys(exported).join(", ") || "nothing";
    throw new UserError(`${file} exports no function ${name} (it exports ${others})`);
  }
  return exported;
}

/** The file with the line of it that an error came through. */
function placeIn(file: string, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  for (const name of [pathToFileURL(file).href, file]) {
    const at = stack.indexOf(`${name}:`);
    const line = at < 0 ? undefined : /^\d+/.exec(stack.slice(at + name.length + 1))?.[0];
    if (line) return `${file}:${line}`;
  }
  return file;
}

function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}

/** The first parameter that the logits do not depend on in a way that has a gradient. */
function withoutGradient(apply: Network, weights: Weights, resolution: number): string {
  const trained = Object.keys(weights).filter((name) => !isStatistic(name));
  return tf.tidy(() => {
    const params = Object.fromEntries(
      Object.entries(weights).map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]),
    );
    const x = tf.zeros<tf.Rank.R4>([2, resolution, resolution, 3]);
    const has = (name: string): boolean => {
      try {
        const loss = (value: tf.Tensor) =>
          tf.sum(apply({ ...params, [name]: value }, x, { training: true }).logits);
        tf.grad(loss)(params[name]!);
        return true;
      } catch {
        return false;
      }
    };
    return trained.find((name) => !has(name)) ?? "a parameter";
  });
}

function zeros(_name: string, count: number): Float32Array {
  return new Float32Array(count);
}
