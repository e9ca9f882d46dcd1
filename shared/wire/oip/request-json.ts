/**
 * The JSON of an inference request, read as it arrives. The numbers of `inputs[…].data` are taken out of it on the way
 * ({@link numberArray}); all the rest must be short, so that parsing it at the end costs little.
 */
import { WireError } from "../problem.ts";
import { type NumberArrayReader, type Numbers, numberArray } from "./number-array.ts";

/** A request's JSON without its tensor's numbers takes at most this much. */
export const MOST_JSON_BYTES = 2 ** 16;

const DEEPEST = 32;
const [QUOTE, BACKSLASH, COLON, OPEN, CLOSE, BEGIN, END] = [0x22, 0x5c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d];

export interface RequestJson {
  /** The JSON's value; an array of numbers is true in it. */
  readonly value: unknown;
  /** The numbers of `data`, if there was such an array. */
  readonly numbers?: Numbers;
}

export interface RequestJsonReader {
  push(chunk: Uint8Array): void;
  /** @throws WireError `malformed` when what came is no JSON value */
  end(): RequestJson;
}

/** An object or array that is open. */
interface Container {
  /** Keys so far, of an object. */
  readonly keys?: Set<string>;
  key?: string;
}

/**
 * @throws WireError from `push`: `malformed` for a repeated key or an array of other things than numbers,
 * `too_large` when there is too much beside the numbers
 */
export function requestJson(): RequestJsonReader {
  let text = new Uint8Array(4096);
  let length = 0;
  let string = -1;
  let escaped = false;
  /** The last string, and whether a value may begin: the byte before, spaces left out, was a colon. */
  let lastString = "";
  let afterColon = false;
  const open: Container[] = [];
  let reading: NumberArrayReader | undefined;
  let numbers: Numbers | undefined;

  function keep(byte: number): void {
    if (length === MOST_JSON_BYTES)
      throw new WireError(
        "too_large",
        `the request's JSON, the numbers of data left out, is longer than ${MOST_JSON_BYTES} bytes`,
      );
    if (length === text.length) {
      const larger = new Uint8Array(text.length * 2);
      larger.set(text);
      text = larger;
    }
    text[length++] = byte;
  }
  function inString(byte: number): void {
    if (escaped) escaped = false;
    else if (byte === BACKSLASH) escaped = true;
    else if (byte === QUOTE) {
      lastString = stringOf(text.subarray(string, length));
      string = -1;
    }
  }
  function structure(byte: number): void {
    const top = open.at(-1);
    if (byte === QUOTE) string = length - 1;
    else if (byte === BEGIN || byte === OPEN) {
      if (open.length === DEEPEST)
        throw new WireError("malformed", `the JSON is nested deeper than ${DEEPEST}`);
      open.push(byte === BEGIN ? { keys: new Set() } : {});
    } else if (byte === END || byte === CLOSE) open.pop();
    else if (byte === COLON && top?.keys) {
      if (top.keys.has(lastString))
        throw new WireError("malformed", `the key ${JSON.stringify(lastString)} is repeated`);
      top.keys.add(lastString);
      top.key = lastString;
    }
  }
  /** Whether an array that begins here is the data of an input. */
  const isData = () =>
    afterColon && open.length === 3 && open[0]!.key === "inputs" && !open[1]!.keys && open[2]!.key === "data";

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (reading) {
          at = reading.read(chunk, at);
          if (reading.ended) {
            numbers = reading.result();
            reading = undefined;
          }
          continue;
        }
        const byte = chunk[at++]!;
        if (string < 0 && byte === OPEN && isData()) {
          if (numbers) throw new WireError("malformed", "inputs: more than one has data");
          reading = numberArray("inputs[0].data");
          for (const placeholder of TRUE) keep(placeholder);
          afterColon = false;
          continue;
        }
        keep(byte);
        if (string >= 0) inString(byte);
        else {
          structure(byte);
          if (byte > 0x20) afterColon = byte === COLON;
        }
      }
    },
    end() {
      if (reading) throw new WireError("malformed", "inputs[0].data: the array has no end");
      const value = parseJson(text.subarray(0, length));
      return { value, ...(numbers && { numbers }) };
    },
  };
}

const LENIENT = new TextDecoder();
const TRUE = new TextEncoder().encode("true");

/** What a string of JSON says; itself, where it cannot be read: the parser will say so at the end. */
function stringOf(bytes: Uint8Array): string {
  const text = LENIENT.decode(bytes);
  if (!text.includes("\\")) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const why = error instanceof SyntaxError ? `: ${error.message.slice(0, 200)}` : ": it is no UTF-8";
    throw new WireError("malformed", `the request is not JSON${why}`);
  }
}
