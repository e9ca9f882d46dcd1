import { type Captured, captureStep } from "@funmatch/engine";
import {
  parameterCount,
  readNpz,
  trainedOf,
  type Weights,
  weightsSha256,
  writeWeights,
} from "@funmatch/models";
import { draws } from "@funmatch/views";
import { lastingState, runStep } from "./accumulate.ts";
import { sha256OfFile } from "./checkpoint.ts";
import { type ComputeTimes, fasterCompute, timeComputes } from "./fastest-compute.ts";
import { givenWeights } from "./given-weights.ts";
import { rootsBetweenSteps } from "./inverse-root.ts";
import { ruleOf } from "./optimizer.ts";
import { type Compute, captureForward, type UpdateOptions, updateStep } from "./step.ts";
import { openNetwork, type StudentModel, type StudentNetwork } from "./student-network.ts";

/** What the student's thread is started with; plain data, since it crosses to a worker. */
export interface StudentInit extends Omit<UpdateOptions, "weights" | "network" | "classes" | "compute"> {
  model: StudentModel;
  compute: Compute | "auto";
  seed: number;
  evaluationBatch: number;
  /** Weights to begin from instead of random ones. */
  initFile?: string;
  /** A checkpoint's state to go on from. */
  stateFile?: string;
}

export interface StepRequest {
  images: Uint8Array;
  targets: Float32Array;
  step: number;
  multiplier: number;
}

export interface StepResult {
  loss: number;
  gradientNorm: number;
  updateNorm: number;
}

/** What the student's thread answers. */
export interface StudentApi {
  step(request: StepRequest): StepResult;
  /** images uint8 [evaluationBatch, R, R, 3] → logits [evaluationBatch, K] and features [evaluationBatch, C], what the head reads. */
  forward(request: { images: Uint8Array }): { logits: Float32Array; features: Float32Array };
  /** Makes `forward` use the parameters of a checkpoint's state, or, without one, those that are trained, as they are. */
  forwardFrom(request: { stateFile?: string }): Promise<void>;
  /** Writes parameters and the optimizer's state as .npz; answers digests of the file and of the parameters. */
  save(request: { path: string }): Promise<{ sha256: string; parametersSha256: string }>;
  /** Takes the state that `save` wrote. */
  load(request: { path: string }): Promise<void>;
  /** Writes the parameters alone, running statistics among them; a BiT's are ready to be served as a teacher. */
  exportWeights(request: { path: string }): Promise<void>;
  /** What the student is computed in, and, where that was to be measured, what a step takes. */
  compute(request: Record<string, never>): { compute: Compute; times?: ComputeTimes };
  /** Running statistics are digested with the parameters, but not counted. */
  describe(request: Record<string, never>): { parameters: number; parametersSha256: string };
}

/** Runs in the engine worker: owns the captured step and the captured forward pass. */
export async function start(init: StudentInit): Promise<StudentApi> {
  const network = await openNetwork(init.model);
  const explained = <T>(fn: () => T): T => {
    try {
      return fn();
    } catch (error) {
      throw network.explain(error);
    }
  };
  const weights = await firstWeights(network, init);
  const learner = { ...init, network: network.apply, classes: init.model.classes, weights };
  const times = init.compute === "auto" ? explained(() => timeComputes(learner)) : undefined;
  const compute = init.compute === "auto" ? fasterCompute(times!) : init.compute;
  const options = updateStep({ ...learner, compute });
  const update = explained(() => captureStep(options));
  // What a user's own network gets wrong in inference alone is told now, not at the first evaluation.
  if (init.model.kind === "module")
    explained(() => captureForward({ ...learner, compute, batch: init.evaluationBatch })).dispose();
  if (init.stateFile) update.writeState(await readState(init.stateFile));
  const lasting = lastingState(options);
  const { roots } = ruleOf(init.optimizer);
  const takeRoots = roots && rootsBetweenSteps(update, lasting, roots);
  let forward: Captured | undefined;
  let forwardIsCurrent = false;
  let instead: Record<string, Float32Array> | undefined;

  const present = () => update.readState(Object.keys(weights).map((name) => `params/${name}`));
  const parameters = (): Weights => {
    const values = present();
    return Object.fromEntries(
      Object.entries(weights).map(([name, { shape }]) => [
        name,
        { shape, values: values[`params/${name}`] as Float32Array },
      ]),
    );
  };

  /** Of the parameters as they stand, once it has been asked for. */
  let digest: string | undefined;
  const parametersSha256 = () => {
    digest ??= weightsSha256(parameters());
    return digest;
  };
  const changed = () => {
    digest = undefined;
    forwardIsCurrent = false;
  };

  return {
    step(request) {
      changed();
      const result = runStep(update, request, init.accumulate);
      takeRoots?.(request.step);
      return result;
    },
    forward({ images }) {
      forward ??= explained(() =>
        captureForward({ ...learner, compute, weights, batch: init.evaluationBatch }),
      );
      if (!forwardIsCurrent) forward.writeState(instead ?? present());
      forwardIsCurrent = true;
      return forward.run({ images }) as { logits: Float32Array; features: Float32Array };
    },
    async forwardFrom({ stateFile }) {
      const state = stateFile === undefined ? undefined : await readState(stateFile);
      const names = Object.keys(weights).map((name) => `params/${name}`);
      instead = state && Object.fromEntries(names.map((name) => [name, state[name]!]));
      forwardIsCurrent = false;
    },
    async save({ path }) {
      const state = Object.entries(update.readState(Object.keys(lasting)));
      const shaped = state.map(([name, values]) => [name, { shape: lasting[name]!, values }] as const);
      await writeWeights(path, Object.fromEntries(shaped));
      return { sha256: await sha256OfFile(path), parametersSha256: parametersSha256() };
    },
    async load({ path }) {
      update.writeState(await readState(path));
      changed();
    },
    async exportWeights({ path }) {
      await writeWeights(path, parameters());
    },
    compute: () => ({ compute, times }),
    describe: () => ({
      parameters: parameterCount(trainedOf(weights)),
      parametersSha256: parametersSha256(),
    }),
  };
}

/** Random weights from the seed, or those of the named file, with a fresh head if theirs has another shape. */
async function firstWeights(network: StudentNetwork, init: StudentInit): Promise<Weights> {
  const fresh = network.init((name, count) => {
    const stream = draws(init.seed, "init", name);
    return Float32Array.from({ length: count }, () => stream.normal());
  });
  if (!init.initFile || init.stateFile) return fresh; // a checkpoint's state replaces all of it
  return givenWeights(init.model, fresh, init.initFile);
}

async function readState(path: string): Promise<Record<string, Float32Array>> {
  const arrays = await readNpz(path);
  return Object.fromEntries([...arrays].map(([name, { data }]) => [name, data as Float32Array]));
}
