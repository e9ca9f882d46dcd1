import { INFERENCE_HEADER, inferAnswerSchema } from "@funmatch/wire/oip";
import { TeacherError } from "../errors.ts";
import type { Reply } from "../exchange.ts";

/** An inference request. */
export interface InferRequest {
  id: string;
  input: { name: string; datatype: string; shape: number[]; values: Uint8Array | Float32Array };
  output: string;
  /** Tensors as bytes behind the JSON rather than as numbers in it. */
  binary: boolean;
}

/** A request's headers and body. */
export function encodeInfer({ id, input, output, binary }: InferRequest): {
  headers: Record<string, string>;
  body: Uint8Array[];
} {
  const { name, datatype, shape, values } = input;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const tensor = binary
    ? { name, datatype, shape, parameters: { binary_data_size: bytes.length } }
    : { name, datatype, shape, data: [...values] };
  const head = {
    id,
    inputs: [tensor],
    outputs: [{ name: output, parameters: { binary_data: binary } }],
  };
  const json = Buffer.from(JSON.stringify(head));
  if (!binary) return { headers: { "content-type": "application/json" }, body: [json] };
  return {
    headers: { "content-type": "application/octet-stream", [INFERENCE_HEADER]: String(json.length) },
    body: [json, bytes],
  };
}

/** What came back for the wanted output. */
export interface InferAnswer {
  values: ArrayLike<number>;
  /** The version that answered, where the server tells. */
  version?: string;
}

/**
 * Reads an answer: numbers in the JSON, nested or not, or bytes behind it.
 *
 * @throws TeacherError when it cannot be read or lacks the output
 */
export function decodeInfer(who: string, { headers, bytes }: Reply, output: string): InferAnswer {
  const malformed = (why: string) =>
    new TeacherError("malformed", `${who}: the answer cannot be read: ${why}`);
  const told = headers.get(INFERENCE_HEADER);
  const end = told === null ? bytes.length : Number(told);
  if (!Number.isInteger(end) || end < 0 || end > bytes.length)
    throw malformed(`${INFERENCE_HEADER} is ${told}, the answer has ${bytes.length} bytes`);
  const parsed = inferAnswerSchema.safeParse(parse(bytes.subarray(0, end), malformed));
  if (!parsed.success) throw malformed(parsed.error.issues[0]?.message ?? "no inference answer");
  const { outputs, model_version: version } = parsed.data;
  let at = end;
  for (const { name, datatype, parameters, data } of outputs) {
    const size = parameters?.binary_data_size;
    const rest = bytes.subarray(at, at + (size ?? 0));
    if (size !== undefined && rest.length !== size) throw malformed(`${name} is cut off`);
    at += size ?? 0;
    if (name !== output) continue;
    const values = size === undefined ? flat(data ?? [], malformed) : floats(rest, datatype, malformed);
    return { values, version: version || undefined };
  }
  throw malformed(`it has no output ${output}`);
}

function parse(json: Uint8Array, malformed: (why: string) => TeacherError): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(json));
  } catch {
    throw malformed("it is not JSON");
  }
}

function floats(
  bytes: Uint8Array,
  datatype: string,
  malformed: (why: string) => TeacherError,
): Float32Array | Float64Array {
  const width = { FP32: 4, FP64: 8 }[datatype];
  if (width === undefined) throw malformed(`its output is ${datatype}`);
  if (bytes.length % width !== 0) throw malformed(`${bytes.length} bytes are no ${datatype} numbers`);
  const { buffer } = new Uint8Array(bytes); // aligned
  return width === 4 ? new Float32Array(buffer) : new Float64Array(buffer);
}

/** Numbers of an array that may hold arrays. */
function flat(data: unknown[], malformed: (why: string) => TeacherError): number[] {
  const numbers = data.flat(8);
  const bad = numbers.find((value) => typeof value !== "number");
  if (bad !== undefined) throw malformed(`${JSON.stringify(bad)} is no number`);
  return numbers as number[];
}
