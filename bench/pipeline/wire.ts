/** One direction of a link: what is sent is serialised at its rate, one piece after the other, and arrives a delay later. */
export interface Wire {
  /**
   * Takes a piece of `bytes`. Answers when the next piece of the same sender may be taken: once this one is (but for
   * a short queue) on its way.
   *
   * @param arrive called when its last byte is there; pieces arrive in the order in which they were sent
   */
  send(bytes: number, arrive: () => void): Promise<void>;
  /** Bytes that were sent so far. */
  bytes(): number;
}

/** What may wait before the wire, as in a router: timers are no finer, and at 1 Gbit/s a piece is on its way in 0.5 ms. */
const QUEUE_MS = 4;

/**
 * @param delayMs from the end of serialisation to arrival
 * @param bytesPerMs its rate
 */
export function openWire({ delayMs, bytesPerMs }: { delayMs: number; bytesPerMs: number }): Wire {
  /** Both are in the order of time: pieces are serialised one after the other, and the delay is the same for all. */
  const travelling: { at: number; then: () => void }[] = [];
  const queued: { at: number; then: () => void }[] = [];
  let freeAt = 0;
  let sent = 0;
  const arrivals = inOrder(travelling);
  const departures = inOrder(queued);

  return {
    send(bytes, arrive) {
      sent += bytes;
      freeAt = Math.max(freeAt, performance.now()) + bytes / bytesPerMs;
      arrivals(freeAt + delayMs, arrive);
      if (freeAt - performance.now() <= QUEUE_MS) return Promise.resolve();
      return new Promise((resolve) => departures(freeAt - QUEUE_MS, resolve));
    },
    bytes: () => sent,
  };
}

/** Calls back what is added at its time, or a little later, with one timer for all. */
function inOrder(waiting: { at: number; then: () => void }[]): (at: number, then: () => void) => void {
  let timer: NodeJS.Timeout | undefined;
  const wake = () => {
    timer = undefined;
    let due = 0;
    while (due < waiting.length && waiting[due]!.at <= performance.now()) waiting[due++]!.then();
    waiting.splice(0, due);
    const next = waiting[0];
    if (next && !timer) timer = setTimeout(wake, Math.max(0, next.at - performance.now()));
  };
  return (at, then) => {
    waiting.push({ at, then });
    timer ??= setTimeout(wake, Math.max(0, at - performance.now()));
  };
}
