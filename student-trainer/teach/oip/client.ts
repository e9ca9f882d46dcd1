import type { Card, Limits } from "@funmatch/wire";
import { modelConfigSchema, modelMetadataSchema, serverMetadataSchema } from "@funmatch/wire/oip";
import type { Answer, Call, SentViews, Teacher, TeacherOptions } from "../client.ts";
import { openConnection } from "../connection.ts";
import { TeacherError } from "../errors.ts";
import type { Reply } from "../exchange.ts";
import { pinned } from "../pin.ts";
import { oipAddress } from "./address.ts";
import { decodeInfer, encodeInfer } from "./messages.ts";
import {
  type InputPlan,
  type OipHints,
  type OutputPlan,
  oipVersion,
  planInput,
  planOutput,
} from "./metadata.ts";
import { inputValues, logitsOf } from "./tensors.ts";

const MiB = 2 ** 20;
/** The protocol tells no limits: what a request carries at most, and how long it may take. */
const BODY_BYTES = 64 * MiB;
const IMAGES = 1024;
const TIMEOUT_MS = 120_000;

/**
 * Opens a model of any server of the Open Inference Protocol, version 2 (Triton, KServe and others), as a teacher:
 * reads its metadata and pins name and versions.
 *
 * An answer names neither the bytes that it is for nor the weights that it is of: what it teaches is unverified.
 *
 * @param o.resolution side of the views that it will be asked about
 * @throws UserError for a URL or key that cannot be one
 * @throws TeacherError when it cannot be reached, its metadata do not say enough, or it is another than pinned
 */
export async function openOipTeacher(
  o: TeacherOptions & { hints: OipHints; resolution: number },
): Promise<Teacher> {
  const { url, origin, root, path } = oipAddress(o.url);
  const connection = openConnection({ ...o, url, origin });
  try {
    const server = read(url, "server metadata", serverMetadataSchema, await connection.get(root));
    const model = read(url, "model metadata", modelMetadataSchema, await connection.get(path));
    const extensions = server.extensions ?? [];
    const input = planInput(url, model.inputs ?? [], o.hints);
    const output = planOutput(url, model.outputs ?? [], o.hints);
    const triton = extensions.includes("model_configuration")
      ? read(url, "model configuration", modelConfigSchema, await connection.get(`${path}/config`))
      : undefined;
    const version = pinned(url, oipVersion(model), o.pinnedVersion);
    const binary = o.hints.binary ?? extensions.includes("binary_tensor_data");
    const timeoutMs = o.timeoutMs ?? TIMEOUT_MS;
    // Limits are counted in bytes of uint8 images; floats take 4, their decimals about 20.
    const widened = binary ? (input.datatype === "UINT8" ? 1 : 4) : 20;
    const limits: Limits = {
      maxImages: input.batch ?? (triton?.max_batch_size || IMAGES),
      maxBodyBytes: Math.floor(BODY_BYTES / widened),
      timeoutMs,
    };
    const seen: { version?: string } = {};

    const askWith = async (
      hints: OipHints,
      views: SentViews,
      { requestId, signal }: Call,
    ): Promise<Answer> => {
      const [images] = views.shape;
      const tensor = inputValues(views.data, views.shape, input, hints);
      const rows = tensor.shape[0]!;
      const reply = await connection.post({
        path: `${path}/infer`,
        ...encodeInfer({ id: requestId, input: { ...input, ...tensor }, output: output.name, binary }),
        deadlineMs: timeoutMs,
        maxAnswerBytes: rows * output.classes * 32 + 64 * 1024,
        signal,
      });
      const who = `${url}, request ${requestId}`;
      const answer = decodeInfer(who, reply, output.name);
      sameVersion(who, seen, answer.version);
      const kind = hints.outputKind;
      const logits = logitsOf(who, answer.values, { images, rows, classes: output.classes, kind });
      return { logits, version, cache: "none" };
    };
    const card = cardOf(model, server, version, { ...o, input, output, limits, binary });
    const others = { ...o.hints, mean: undefined, std: undefined };
    return {
      ...{ url, card, limits, echoesDigest: false, close: connection.close },
      ask: (views, call) => askWith(o.hints, views, call),
      ...(input.datatype === "FP32" && {
        askInRange: (valueRange, views, call) => askWith({ ...others, valueRange }, views, call),
      }),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** A server may tell with each answer which version gave it; while a run lasts it must stay one. */
function sameVersion(who: string, seen: { version?: string }, told: string | undefined): void {
  if (told === undefined) return;
  seen.version ??= told;
  if (told !== seen.version)
    throw new TeacherError("version", `${who}: version ${told} answered, before it ${seen.version}`);
}

function cardOf(
  model: { name: string; platform?: string | null },
  server: { name?: string | null; version?: string | null },
  version: string,
  o: {
    input: InputPlan;
    output: OutputPlan;
    hints: OipHints;
    limits: Limits;
    resolution: number;
    binary: boolean;
  },
): Card {
  const { input, output, hints } = o;
  return {
    id: model.name,
    version,
    classes: output.classes,
    input: {
      resolution: input.side ?? o.resolution,
      valueRange: hints.valueRange ?? [0, 255],
      channels: 3,
      dtypes: ["uint8"], // whatever the model takes is made of these
      resizes: input.side === undefined,
    },
    maxBatch: o.limits.maxImages,
    state: "ready",
    bitStable: false,
    parameters: 0,
    runtime: {
      protocol: "Open Inference Protocol v2",
      server: `${server.name ?? "unnamed"} ${server.version ?? ""}`.trim(),
      ...(model.platform && { platform: model.platform }),
      input: `${input.name} ${input.datatype} ${input.layout}`,
      output: `${output.name}, ${hints.outputKind}`,
      tensors: o.binary ? "bytes" : "JSON",
    },
  };
}

interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { message: string } };
}

function read<T>(url: string, what: string, schema: Schema<T>, reply: Reply): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(reply.bytes));
  } catch (error) {
    throw new TeacherError(
      "malformed",
      `${url}: its ${what} is not JSON: is this an Open Inference Protocol server?`,
      {
        cause: error,
      },
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TeacherError("malformed", `${url}: its ${what} cannot be used: ${result.error.message}`);
}
