import type { Deadline } from "../deadline.ts";
import { chunks, type Incoming, patiently } from "./body.ts";

/** Waits until a piece may be pushed. @returns says that it was; undefined if the signal came first */
type Turn = (signal: AbortSignal) => Promise<(() => void) | undefined>;

/** A body on its way to a teacher. */
export interface Upload {
  /** Whether all that was taken of it is still kept here, so that it can be sent to another teacher. */
  whole(): boolean;
  /** Whether the client broke off. */
  brokeOff(): boolean;
  /**
   * Sends it on as it comes in. If nobody takes it any more, the rest is read and dropped, so that the client's sending
   * ends in peace. (A native `pipeTo` would break the source with its destination.)
   *
   * @param turn waits for a turn to push a piece
   * @param refused says that nobody will take it, also if a piece is just being waited for
   * @returns once the client has sent everything or has gone, or it was refused while it was whole
   */
  pour(into: WritableStream<Uint8Array>, turn: Turn, refused: AbortSignal): Promise<void>;
  /** Waits, within reason, until a client that is refused has sent it. */
  hearOut(deadline: Deadline): Promise<void>;
}

/**
 * The first two pieces (64 KiB at most each) are kept until the second is taken: a teacher that refuses by then, or
 * cannot be reached, has cost nothing.
 *
 * @example
 * const upload = openUpload(incoming);
 * await upload.pour(pipe.writable, turn, refused.signal);
 */
export function openUpload({ first, rest, length }: Incoming): Upload {
  const coming = chunks(rest);
  const kept = [first];
  let whole = true;
  let received = first.length;
  let ended = false;

  async function next(): Promise<Uint8Array | undefined> {
    const { value } = await coming.next().catch(() => ({ value: undefined })); // told by what was received
    received += value?.length ?? 0;
    ended = !value;
    return value ?? undefined;
  }

  async function send(into: WritableStream<Uint8Array>, turn: Turn, refused: AbortSignal): Promise<void> {
    const writer = into.getWriter();
    let taken = true;
    const refuse = () => void writer.abort().catch(() => {});
    if (refused.aborted) refuse();
    refused.addEventListener("abort", refuse);
    const write = async (bytes: Uint8Array) => {
      if (taken) await writer.write(bytes).catch(() => (taken = false));
    };
    for (const piece of kept) await write(piece);
    if (kept.length === 1 && !refused.aborted) {
      const second = await next();
      if (second !== undefined) kept.push(second);
      if (second !== undefined) await write(second);
    }
    // A teacher that is gone breaks the pipe before it is known to be gone.
    if (refused.aborted || !taken) return;
    whole = false;
    kept.length = 0;
    for (let piece = await next(); piece !== undefined; piece = await next()) {
      const pushed = taken ? await turn(refused) : undefined;
      await write(piece);
      pushed?.();
    }
    // Breaking off breaks the call to the teacher too.
    await (received === length ? writer.close() : writer.abort()).catch(() => {});
  }

  let sending = Promise.resolve();
  return {
    whole: () => whole,
    brokeOff: () => ended && received !== length,
    pour(into, turn, refused) {
      sending = sending.then(() => send(into, turn, refused));
      return sending;
    },
    hearOut: (deadline) =>
      patiently(
        sending.then(async () => {
          while (!ended) await next();
        }),
        deadline,
      ),
  };
}
