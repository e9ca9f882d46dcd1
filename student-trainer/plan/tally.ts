import type { Teacher } from "../teach/client.ts";

/** What was sent to a teacher so far, and what it said that it took. */
export interface Tally {
  images: number;
  /** Seconds of computing for an image; undefined as long as the service tells none. */
  readonly computePerImage: number | undefined;
  /** Seconds of a request that the service did not have it; undefined as long as it tells none. */
  readonly linkSeconds: number | undefined;
}

/** The teacher, with a count of what passes. */
export function tallied(teacher: Teacher): { teacher: Teacher; tally: Tally } {
  const sums = { timed: 0, compute: 0, requests: 0, link: 0 };
  const tally: Tally = {
    images: 0,
    get computePerImage() {
      return sums.timed > 0 ? sums.compute / sums.timed : undefined;
    },
    get linkSeconds() {
      return sums.requests > 0 ? sums.link / sums.requests : undefined;
    },
  };
  const ask: Teacher["ask"] = async (views, call) => {
    const sentAt = performance.now();
    tally.images += views.shape[0];
    const answer = await teacher.ask(views, call);
    const { compute, total } = answer.server ?? {};
    if (compute !== undefined) {
      sums.timed += views.shape[0];
      sums.compute += compute;
    }
    if (total !== undefined) {
      sums.requests++;
      sums.link += Math.max(0, (performance.now() - sentAt) / 1000 - total);
    }
    return answer;
  };
  return { teacher: { ...teacher, ask }, tally };
}
