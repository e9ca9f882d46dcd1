/** What an inference request says, once its JSON is read. */
import { WireError } from "../problem.ts";
import type { ImageDtype, Purpose } from "../request.ts";
import { bytesOf } from "../shape.ts";
import { IMAGES, inferRequestSchema, LOGITS } from "./messages.ts";
import type { RequestJson } from "./request-json.ts";

/** A request for logits of images, all but the pixels. */
export interface InferHead {
  readonly id?: string;
  readonly purpose: Purpose;
  readonly timeoutMs?: number;
  readonly dtype: ImageDtype;
  /** [N,H,W,C] */
  readonly shape: [number, number, number, number];
  /** Bytes of the pixels. */
  readonly dataLength: number;
  /** Whether the logits go back as bytes behind the JSON rather than as numbers in it. */
  readonly binaryLogits: boolean;
}

const DTYPES: Record<string, { dtype: ImageDtype; bytes: number }> = {
  UINT8: { dtype: "uint8", bytes: 1 },
  FP32: { dtype: "float32", bytes: 4 },
};

/**
 * @param binaryBytes how many bytes follow the JSON
 * @throws WireError `malformed` naming the place, `bad_dtype`, or `shape_mismatch`
 */
export function readInferRequest({ value, numbers }: RequestJson, binaryBytes: number): InferHead {
  const parsed = inferRequestSchema.safeParse(value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw malformed(placeOf(path), message);
  }
  const { id, parameters, inputs, outputs } = parsed.data;
  const [input, ...others] = inputs;
  if (!input || others.length > 0)
    throw malformed("inputs", `this model has the one input "${IMAGES}", got ${inputs.length}`);
  if (input.name !== IMAGES)
    throw malformed("inputs[0].name", `this model's input is "${IMAGES}", got ${quoted(input.name)}`);

  const type = Object.hasOwn(DTYPES, input.datatype) ? DTYPES[input.datatype]! : undefined;
  if (!type)
    throw new WireError(
      "bad_dtype",
      `inputs[0].datatype: images are UINT8 or FP32, got ${quoted(input.datatype)}`,
    );
  const { shape } = input;
  if (shape.length !== 4)
    throw new WireError("shape_mismatch", `inputs[0].shape: images are [N,H,W,3], got [${shape}]`);
  const dataLength = bytesOf(shape, type.bytes);
  if (dataLength === undefined)
    throw malformed("inputs[0].shape", `[${shape}] is more bytes than a message can hold`);

  if (input.parameters?.shared_memory_region !== undefined)
    throw malformed("inputs[0].parameters", "shared memory is not spoken here: send the tensor's bytes");
  const binary = input.parameters?.binary_data_size ?? undefined;
  if (binary !== undefined) {
    if (input.data !== undefined)
      throw malformed("inputs[0]", "either data or parameters.binary_data_size, not both");
    if (binary !== dataLength)
      throw malformed(
        "inputs[0].parameters.binary_data_size",
        `${input.datatype} [${shape}] is ${dataLength} bytes, got ${binary}`,
      );
    if (binaryBytes !== dataLength)
      throw malformed(
        "body",
        `${dataLength} bytes must follow the JSON, whose length inference-header-content-length tells; it leaves ${binaryBytes}`,
      );
  } else {
    if (!numbers) throw malformed("inputs[0].data", "an array of numbers is missing");
    if (binaryBytes > 0)
      throw malformed(
        "body",
        `${binaryBytes} bytes follow the JSON, but no input has parameters.binary_data_size`,
      );
    checkNumbers(numbers, input.datatype, shape);
  }
  return {
    ...(typeof id === "string" && { id }),
    purpose: parameters?.purpose ?? "train",
    ...(parameters?.timeout && { timeoutMs: parameters.timeout / 1000 }),
    dtype: type.dtype,
    shape: shape as InferHead["shape"],
    dataLength,
    binaryLogits: binaryLogits(outputs ?? [], parameters?.binary_data_output ?? false),
  };
}

type Output = NonNullable<(typeof inferRequestSchema)["_output"]["outputs"]>[number];

function binaryLogits(outputs: readonly Output[], otherwise: boolean): boolean {
  const strange = outputs.findIndex(({ name }) => name !== LOGITS);
  if (strange >= 0)
    throw malformed(
      `outputs[${strange}].name`,
      `this model's output is "${LOGITS}", got ${quoted(outputs[strange]!.name)}`,
    );
  if (outputs.length > 1) throw malformed("outputs", `"${LOGITS}" is asked for ${outputs.length} times`);
  const asked = outputs[0]?.parameters;
  if (asked?.classification !== undefined && asked.classification !== 0)
    throw malformed(
      "outputs[0].parameters.classification",
      "the classification extension is not spoken here",
    );
  return asked?.binary_data ?? otherwise;
}

function checkNumbers(numbers: NonNullable<RequestJson["numbers"]>, datatype: string, shape: number[]): void {
  const wanted = shape.reduce((product, size) => product * size, 1);
  const { count, dimensions, notByte } = numbers;
  if (count !== wanted) throw malformed("inputs[0].data", `[${shape}] is ${wanted} numbers, got ${count}`);
  if (dimensions.length > 1 && dimensions.join() !== shape.join())
    throw malformed("inputs[0].data", `nested as [${dimensions}], the shape is [${shape}]`);
  if (datatype === "UINT8" && notByte)
    throw malformed(
      "inputs[0].data",
      `number ${notByte.index} is ${notByte.value}, UINT8 holds whole numbers from 0 to 255`,
    );
}

function malformed(place: string, why: string): WireError {
  return new WireError("malformed", `${place}: ${why}`);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

function placeOf(path: readonly PropertyKey[]): string {
  const place = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return place === "" ? "the request" : place.replace(/^\./, "");
}
