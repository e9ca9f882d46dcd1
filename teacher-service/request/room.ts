import { WireError } from "@funmatch/wire";
import type { TeamRule } from "../config/team-rules.ts";

/** What one request holds from its first byte until it is answered. */
export interface Reservation {
  /**
   * Adds its images, once they are known.
   *
   * @throws WireError `overloaded` when its team would have too many
   */
  addImages(images: number): void;
  /** Gives all of it back; calling it again does nothing. */
  release(): void;
}

/** Time until a part of what a team holds now is answered, as measured: what a refused client is told to wait. */
export type WaitSeconds = (part: number, team: string) => number;

/** The image bytes that the service may hold at once: arriving, waiting and being computed. */
export interface Room {
  /**
   * Takes `bytes` for one request, before its body is read.
   *
   * @throws WireError `overloaded` when they do not fit beside what is held
   */
  reserve(team: string, bytes: number, waitSeconds: WaitSeconds): Reservation;
  readonly heldBytes: number;
}

/**
 * A team holds at most this many times what is free: alone three quarters of the room, beside another as greedy one
 * three sevenths, and whoever comes new always finds room (Choudhury & Hahne 1998, dynamic thresholds).
 */
const TIMES_FREE = 3;

interface Held {
  requests: number;
  bytes: number;
  images: number;
}

/** @example const held = openRoom({ limitBytes: 2 ** 29, rules }).reserve("vision", body, wait); held.release(); */
export function openRoom(o: { limitBytes: number; rules: (team: string) => TeamRule }): Room {
  const teams = new Map<string, Held>();
  let total = 0;

  function checkBytes(team: string, bytes: number, held: number, waitSeconds: WaitSeconds): void {
    const { queueBytes } = o.rules(team);
    if (bytes > queueBytes)
      throw new WireError(
        "too_large",
        `the body has ${bytes} bytes, team ${team} may have ${queueBytes} in the queue`,
        {
          extra: { limit: "queueBytes" },
        },
      );
    if (held + bytes > queueBytes)
      throw overloaded(
        `team ${team} has ${held} bytes of images in the queue and ${bytes} more would pass its limit of ${queueBytes}`,
        waitSeconds((held + bytes - queueBytes) / held, team),
      );
    if (total + bytes > o.limitBytes) {
      // All get on at once; the one that has most shows at the latest when there is room.
      const [name, most] = [...teams].reduce((a, b) => (b[1].bytes > a[1].bytes ? b : a));
      throw overloaded(
        `${total} bytes of images are in the queue and ${bytes} more would pass the limit of ${o.limitBytes}`,
        waitSeconds(Math.min(1, (total + bytes - o.limitBytes) / most.bytes), name),
      );
    }
    // With x bytes of its own given back: held - x + bytes = TIMES_FREE * (free + x).
    const over = held + bytes - TIMES_FREE * (o.limitBytes - total);
    if (held > 0 && over > 0)
      throw overloaded(
        `team ${team} has ${held} bytes of images in the queue: with ${bytes} more too little would be left for other teams`,
        waitSeconds(Math.min(1, over / (1 + TIMES_FREE) / held), team),
      );
  }

  return {
    reserve(team, bytes, waitSeconds) {
      const held = teams.get(team) ?? { requests: 0, bytes: 0, images: 0 };
      checkBytes(team, bytes, held.bytes, waitSeconds);
      teams.set(team, held);
      held.requests += 1;
      held.bytes += bytes;
      total += bytes;
      let [reserved, own] = [true, 0];
      return {
        addImages(images) {
          const { concurrentImages } = o.rules(team);
          if (images > concurrentImages)
            throw new WireError(
              "too_large",
              `${images} images, team ${team} may have ${concurrentImages} at once`,
              { extra: { limit: "concurrentImages" } },
            );
          if (held.images + images > concurrentImages)
            throw overloaded(
              `team ${team} has ${held.images} images in the queue and ${images} more would pass its limit of ${concurrentImages}`,
              waitSeconds((held.images + images - concurrentImages) / held.images, team),
            );
          own += images;
          held.images += images;
        },
        release() {
          if (!reserved) return;
          reserved = false;
          held.requests -= 1;
          held.bytes -= bytes;
          held.images -= own;
          total -= bytes;
          if (held.requests === 0) teams.delete(team);
        },
      };
    },
    get heldBytes() {
      return total;
    },
  };
}

function overloaded(detail: string, retryAfterSeconds: number): WireError {
  return new WireError("overloaded", detail, { retryAfterSeconds });
}
