import { WireError } from "@funmatch/wire";
import { inTime } from "../deadline.ts";
import type { Asker } from "../teachers/teacher.ts";
import {
  type Boarding,
  type FlightControl,
  fromRefusal,
  type Landing,
  RENEW_MS,
  toRefusal,
} from "./flight.ts";

/**
 * Asks, if nobody is asking the same already; else waits for what the other one is told. Whoever cannot be told
 * together asks alone.
 *
 * @param ask gives the answer's bytes if others may have them, and the caller's own answer
 * @returns the own answer of whoever asked, or the bytes that another one got
 * @throws WireError the teacher's refusal, be it of the own question or of the other's
 * @example
 * const { own, bytes } = await askTogether(flight, asker, async () => ({ own: answer, bytes }));
 */
export async function askTogether<T>(
  flight: FlightControl,
  asker: Asker,
  ask: () => Promise<{ own: T; bytes: Uint8Array<ArrayBuffer> | undefined }>,
): Promise<{ own: T } | { bytes: Uint8Array<ArrayBuffer> }> {
  const boarding = await board(flight, asker);
  switch (boarding?.kind) {
    case "answer":
      return { bytes: boarding.bytes };
    case "refusal":
      throw fromRefusal(boarding.refusal);
    case "late":
      throw new WireError("deadline_exceeded", "the teacher did not answer in time");
    case "lead":
      return { own: await lead(flight, boarding.token, asker, ask) };
    case undefined:
      return { own: (await ask()).own };
  }
}

/** Undefined if the flight itself fails: that costs a question to the teacher, not an answer to the client. */
async function board(flight: FlightControl, { deadline }: Asker): Promise<Boarding | undefined> {
  try {
    return await inTime(deadline, flight.join(deadline.left()), "the same question was not answered");
  } catch (error) {
    if (error instanceof WireError) throw error;
    console.error(error);
    return undefined;
  }
}

async function lead<T>(
  flight: FlightControl,
  token: string,
  asker: Asker,
  ask: () => Promise<{ own: T; bytes: Uint8Array<ArrayBuffer> | undefined }>,
): Promise<T> {
  const land = (landing: Landing) => asker.later(flight.land(token, landing).catch(console.error));
  const renewal = setInterval(() => void flight.renew(token).catch(console.error), RENEW_MS);
  try {
    const { own, bytes } = await ask();
    land(bytes === undefined ? { kind: "nothing" } : { kind: "answer", bytes });
    return own;
  } catch (error) {
    // What is the caller's own fault, its haste or its absence, says nothing to the others.
    const shared =
      error instanceof WireError && error.code !== "deadline_exceeded" && !asker.deadline.signal.aborted;
    land(shared ? { kind: "refusal", refusal: toRefusal(error) } : { kind: "nothing" });
    throw error;
  } finally {
    clearInterval(renewal);
  }
}
