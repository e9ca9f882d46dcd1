import { setTimeout as sleep } from "node:timers/promises";
import { draws } from "@funmatch/views";
import { bodyOf, logitsOf, metric, post } from "../ask.ts";
import { noise } from "../tiny-teacher.ts";
import { SIDE, TOKEN } from "./mutants.ts";
import { storm } from "./storm.ts";

const MiB = 2 ** 20;
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

/** What the service's memory was at one moment, in MiB. */
export interface MemorySample {
  seconds: number;
  resident: number;
  answered: number;
}

export interface SoakResult {
  samples: MemorySample[];
  answered: number;
  /** Clients that went away before they were answered. */
  hungUp: number;
  /** Answers that must not be. */
  wrong: string[];
  /** Bytes of images that the service says it holds when nobody asks any more. */
  held: number;
}

/**
 * Mixed load on a service that {@link STORMED} configures, for a time: eight clients with batches of all sizes
 * (training and evaluation, of the model's size and of another), every tenth of which hangs up, and a client that
 * sends mutated requests.
 *
 * @param o.pauseMs what a client waits between two requests, on average
 */
export async function soak(
  url: string,
  o: {
    seconds: number;
    seed: number;
    everySeconds: number;
    pauseMs: number;
    tell?: (sample: MemorySample) => void;
  },
): Promise<SoakResult> {
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const result: SoakResult = { samples: [], answered: 0, hungUp: 0, wrong: [], held: 0 };

  async function client(nth: number): Promise<void> {
    const draw = draws(o.seed, "soak", nth);
    while (elapsed() < o.seconds) {
      const images = 1 + Math.floor(draw.uniform() ** 2 * 40);
      const side = draw.uniform() < 0.1 && images <= 10 ? SIDE + 8 : SIDE;
      const purpose = draw.uniform() < 0.5 ? "train" : "eval";
      const body = bodyOf({
        pixels: noise(images * side * side * 3, nth),
        shape: [images, side, side, 3],
        purpose,
      });
      const gone = draw.uniform() < 0.1 ? AbortSignal.timeout(Math.floor(draw.uniform() * 20)) : undefined;
      try {
        const answer = await post(url, body, { headers: AUTHORIZED, signal: gone });
        if ((await logitsOf(answer)).length !== images * 7) result.wrong.push("an answer of another length");
        result.answered++;
      } catch (error) {
        if (gone?.aborted) result.hungUp++;
        else result.wrong.push(String(error));
      }
      await sleep(draw.uniform() * 2 * o.pauseMs);
    }
  }
  async function enemy(): Promise<void> {
    for (let seed = o.seed; elapsed() < o.seconds; seed++) {
      const { wrong } = await storm(url, { count: 50, seed, protocols: ["v1", "v2"] });
      result.wrong.push(...wrong);
      await sleep(20 * o.pauseMs);
    }
  }
  async function watch(): Promise<void> {
    while (elapsed() < o.seconds) {
      await sleep(o.everySeconds * 1000);
      const resident = (await metric(url, "process_resident_memory_bytes")) / MiB;
      if (resident === 0) continue; // the service could not read its own figure just then
      const sample = { seconds: elapsed(), resident, answered: result.answered };
      result.samples.push(sample);
      o.tell?.(sample);
    }
  }
  await Promise.all([...Array.from({ length: 8 }, (_, nth) => client(nth)), enemy(), watch()]);
  result.held = await metric(url, "funmatch_held_bytes");
  return result;
}
