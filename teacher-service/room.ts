import { WireError } from "@funmatch/wire";

/** Gives reserved bytes back; calling it again does nothing. */
export type Release = () => void;

/** The image bytes that the service may hold at once: arriving, waiting and being computed. */
export interface Room {
  /**
   * Takes `bytes` for one request, before its body is read.
   *
   * @param waitSeconds how long it will be until there is room again, as measured; told to a refused client
   * @throws WireError `overloaded` when they do not fit beside what is held
   */
  reserve(bytes: number, waitSeconds: () => number): Release;
  readonly heldBytes: number;
}

/** @example const release = openRoom(2 ** 29).reserve(body, () => 3); try { … } finally { release(); } */
export function openRoom(limitBytes: number): Room {
  let held = 0;
  return {
    reserve(bytes, waitSeconds) {
      if (held + bytes > limitBytes) {
        throw new WireError(
          "overloaded",
          `${held} bytes of images are waiting and ${bytes} more would pass the limit of ${limitBytes}`,
          { retryAfterSeconds: waitSeconds() },
        );
      }
      held += bytes;
      let reserved = true;
      return () => {
        if (reserved) held -= bytes;
        reserved = false;
      };
    },
    get heldBytes() {
      return held;
    },
  };
}
