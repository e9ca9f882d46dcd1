/**
 * A JSON array of numbers, flat or nested, read as its bytes arrive: no text of it is kept and no JavaScript array is
 * made, so a tensor of any length costs 4 bytes a number and no long pause.
 */
import { WireError } from "../problem.ts";

/** Numbers that were read. */
export interface Numbers {
  /** All of them in order; every piece but the last is full. */
  readonly pieces: Float32Array<ArrayBuffer>[];
  readonly count: number;
  /** Sizes of the nested arrays from the outermost on; one of them if the array is flat. */
  readonly dimensions: number[];
  /** The first that is no whole number of 0..255, counted from 0. */
  readonly notByte?: { index: number; value: number };
}

export interface NumberArrayReader {
  /** Reads on from `at`; where it stopped: after the array's end, or at the chunk's. */
  read(chunk: Uint8Array, at: number): number;
  /** Whether the array has ended. */
  readonly ended: boolean;
  result(): Numbers;
}

/** Numbers of the first piece; each further one holds twice as many, up to the largest. */
const FIRST_PIECE = 2 ** 8;
const LARGEST_PIECE = 2 ** 16;
const DEEPEST = 8;
const LONGEST_NUMBER = 400;
/** Powers of ten, which doubles hold exactly as far as this. */
const TENS = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/**
 * Begins after the array's first bracket.
 *
 * @param place names the array in errors
 * @throws WireError `malformed`, from `read`, for what is no array of numbers, or a ragged or empty one
 */
export function numberArray(place: string): NumberArrayReader {
  const pieces: Float32Array<ArrayBuffer>[] = [];
  let piece = new Float32Array(FIRST_PIECE);
  let filled = 0;
  let count = 0;
  let notByte: Numbers["notByte"];
  /** By depth from 1 on: members of the array that is open, and what every closed one had. */
  const members = [0, 0];
  const sizes: (number | undefined)[] = [];
  let depth = 1;
  /** Where the numbers are. */
  let leaf = 0;
  let expects: "value or end" | "value" | "comma or end" = "value or end";
  /** The beginning of a number that the next chunk ends. */
  let carried = "";

  const wrong = (why: string) => new WireError("malformed", `${place}: ${why}, after ${count} numbers`);

  function open(): void {
    if (expects === "comma or end" || depth === leaf) throw wrong('unexpected "["');
    if (depth === DEEPEST) throw wrong(`nested deeper than ${DEEPEST} arrays`);
    members[++depth] = 0;
    expects = "value or end";
  }
  function close(): void {
    if (expects === "value") throw wrong('a number is missing before "]"');
    const had = members[depth]!;
    if (had === 0) throw wrong("an empty array");
    sizes[depth] ??= had;
    if (sizes[depth] !== had)
      throw wrong(`an array of ${had} where others at this depth have ${sizes[depth]}`);
    depth--;
    if (depth > 0) members[depth]!++;
    expects = "comma or end";
  }
  function add(value: number): void {
    if (expects === "comma or end") throw wrong("a comma is missing");
    if (leaf === 0) leaf = depth;
    if (depth !== leaf) throw wrong("numbers beside arrays");
    if (filled === piece.length) {
      pieces.push(piece);
      piece = new Float32Array(Math.min(LARGEST_PIECE, 2 * filled));
      filled = 0;
    }
    piece[filled++] = value;
    if (notByte === undefined && !(value >= 0 && value <= 255 && Number.isInteger(value)))
      notByte = { index: count, value };
    count++;
    members[depth]!++;
    expects = "comma or end";
  }

  return {
    get ended() {
      return depth === 0;
    },
    read(chunk, from) {
      let at = from;
      if (carried !== "") {
        while (at < chunk.length && isOfNumber(chunk[at]!)) at++;
        if (carried.length + at - from > LONGEST_NUMBER) throw wrong("a number without an end");
        carried += latin1(chunk, from, at);
        if (at === chunk.length) return at;
        add(parsed(carried, wrong));
        carried = "";
      }
      while (at < chunk.length && depth > 0) {
        const byte = chunk[at]!;
        if (isOfNumber(byte)) {
          const start = at;
          let digits = 0;
          for (; at < chunk.length; at++) {
            const digit = chunk[at]! - ZERO;
            if (digit < 0 || digit > 9) break;
            digits = digits * 10 + digit;
          }
          while (at < chunk.length && isOfNumber(chunk[at]!)) {
            digits = Number.NaN; // not only digits
            at++;
          }
          if (at - start > LONGEST_NUMBER) throw wrong("a number without an end");
          if (at === chunk.length) carried = latin1(chunk, start, at);
          else if (digits >= 0 && at - start <= 15 && (byte !== ZERO || at - start === 1)) add(digits);
          else add(decimal(chunk, start, at) ?? parsed(latin1(chunk, start, at), wrong));
          continue;
        }
        at++;
        if (byte === COMMA) {
          if (expects !== "comma or end") throw wrong('unexpected ","');
          expects = "value";
        } else if (byte === OPEN) open();
        else if (byte === CLOSE) close();
        else if (!isSpace(byte)) throw wrong(`${JSON.stringify(String.fromCharCode(byte))} is no number`);
      }
      return at;
    },
    result() {
      const dimensions = sizes.slice(1) as number[];
      return { pieces: [...pieces, piece.slice(0, filled)], count, dimensions, ...(notByte && { notByte }) };
    },
  };
}

const [COMMA, OPEN, CLOSE, MINUS, POINT, ZERO, NINE] = [0x2c, 0x5b, 0x5d, 0x2d, 0x2e, 0x30, 0x39];

/** Bytes that may be in a number: digits, and + - . e E. */
const OF_NUMBER = new Uint8Array(256);
for (const byte of new TextEncoder().encode("0123456789+-.eE")) OF_NUMBER[byte] = 1;

function isOfNumber(byte: number): boolean {
  return OF_NUMBER[byte] === 1;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/**
 * The value of up to 20 digits, perhaps with a sign and a point, which most numbers of tensors are; undefined for anything
 * else. Up to 15 digits and their power of ten are exact doubles, so their quotient is rounded as it should be. Of more
 * the quotient may be wrong in its last bits, which matters only where they decide how a float32 is rounded.
 */
function decimal(bytes: Uint8Array, start: number, end: number): number | undefined {
  const first = bytes[start] === MINUS ? start + 1 : start;
  if (end - first > 21) return undefined;
  let digits = 0;
  let point = end;
  for (let i = first; i < end; i++) {
    const byte = bytes[i]!;
    if (byte >= ZERO && byte <= NINE) digits = digits * 10 + (byte - ZERO);
    else if (byte === POINT && point === end) point = i;
    else return undefined;
  }
  const whole = point - first;
  const after = Math.max(0, end - point - 1);
  if (whole === 0 || (whole > 1 && bytes[first] === ZERO)) return undefined;
  if (point < end && after === 0) return undefined;
  const value = digits / TENS[after]!;
  if (whole + after > 15) {
    const unsure = Math.fround(value * (1 - DOUBT)) !== Math.fround(value * (1 + DOUBT));
    if (unsure || Number.isInteger(value)) return undefined;
  }
  return first > start ? -value : value;
}

/** More than the relative error of 20 digits summed up and divided, each time with one of 2^-53. */
const DOUBT = 2 ** -48;

function parsed(text: string, wrong: (why: string) => WireError): number {
  if (!NUMBER.test(text)) throw wrong(`"${text.slice(0, 40)}" is no number`);
  return Number(text);
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}
