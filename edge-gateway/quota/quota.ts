import * as z from "zod";

const limit = z.int().positive().nullable();

/** What a team may use; null is as much as it likes. */
export const quotaSchema = z.strictObject({
  /** How fast the bucket fills. */
  imagesPerMinute: limit.default(null),
  /** What the bucket holds, and so the most that comes at once after a pause; null: a minute's worth. */
  burstImages: limit.default(null),
  /** Images of calls that are being answered. */
  imagesInFlight: limit.default(null),
  /** In a calendar month, UTC. */
  imagesPerMonth: limit.default(null),
  /** Bytes of requests in a calendar month, UTC. */
  bytesPerMonth: limit.default(null),
});

export type Quota = z.infer<typeof quotaSchema>;

/** A team's own quota: what it leaves out is the gateway's `quota` setting. */
export const ownQuotaSchema = z.strictObject({
  imagesPerMinute: limit.optional(),
  burstImages: limit.optional(),
  imagesInFlight: limit.optional(),
  imagesPerMonth: limit.optional(),
  bytesPerMonth: limit.optional(),
});

export type OwnQuota = z.infer<typeof ownQuotaSchema>;

/** One of a team's limits, and how it stands. */
export interface Policy {
  name: "minute" | "in-flight" | "month" | "month-bytes";
  unit: "images" | "bytes";
  quota: number;
  remaining: number;
  /** What the quota is counted over; none for what is in flight. */
  windowSeconds?: number;
  /** Until there is more of it; 0 if nothing is used. None where only the end of other calls helps. */
  resetSeconds?: number;
}

/** What the bucket of images a minute holds; null without such a limit. */
export function bucketSize({ imagesPerMinute, burstImages }: Quota): number | null {
  return imagesPerMinute === null ? null : (burstImages ?? imagesPerMinute);
}

/** The most images that one call can ever have, and the limit that says so. */
interface LargestCall {
  limit: "burstImages" | "imagesInFlight" | "imagesPerMonth";
  images: number;
}

/** A limit that a call passes by itself: no wait makes it fit. */
export interface Unfit {
  limit: LargestCall["limit"] | "bytesPerMonth";
  unit: Policy["unit"];
  most: number;
}

/**
 * The limit that lets no such call through, ever; undefined if it may fit.
 *
 * @example
 * unfit({ ...unlimited, bytesPerMonth: 1000 }, { images: 1, bytes: 1200 });   // { limit: "bytesPerMonth", unit: "bytes", most: 1000 }
 */
export function unfit(quota: Quota, call: { images: number; bytes: number }): Unfit | undefined {
  const { limit, images } = largestCall(quota);
  if (call.images > images) return { limit, unit: "images", most: images };
  const { bytesPerMonth } = quota;
  if (bytesPerMonth === null || call.bytes <= bytesPerMonth) return undefined;
  return { limit: "bytesPerMonth", unit: "bytes", most: bytesPerMonth };
}

/**
 * The most images that one call can ever have under a quota; Infinity where it may have any number.
 *
 * @example
 * largestCall({ ...unlimited, imagesPerMinute: 600, imagesInFlight: 256 });   // { limit: "imagesInFlight", images: 256 }
 */
export function largestCall(quota: Quota): LargestCall {
  const { imagesInFlight, imagesPerMonth } = quota;
  const limits: LargestCall[] = [
    { limit: "burstImages", images: bucketSize(quota) ?? Infinity },
    { limit: "imagesInFlight", images: imagesInFlight ?? Infinity },
    { limit: "imagesPerMonth", images: imagesPerMonth ?? Infinity },
  ];
  return limits.reduce((least, one) => (one.images < least.images ? one : least));
}

/**
 * The two header fields of draft-ietf-httpapi-ratelimit-headers. Images are no unit that the draft registers, so they
 * are told in a parameter of our own.
 *
 * @example
 * rateLimitHeaders(policies)["ratelimit"];   // "minute";r=500;t=10, "month";r=9000;t=86400
 */
export function rateLimitHeaders(policies: readonly Policy[]): Record<string, string> {
  if (policies.length === 0) return {};
  const items = (item: (policy: Policy) => (string | undefined)[]) =>
    policies.map((policy) => item(policy).filter(Boolean).join(";")).join(", ");
  return {
    "ratelimit-policy": items(({ name, unit, quota, windowSeconds }) => [
      `"${name}"`,
      `q=${quota}`,
      windowSeconds === undefined ? undefined : `w=${windowSeconds}`,
      unit === "bytes" ? 'qu="content-bytes"' : 'funmatch-unit="images"',
    ]),
    ratelimit: items(({ name, remaining, resetSeconds }) => [
      `"${name}"`,
      `r=${Math.max(0, Math.floor(remaining))}`,
      resetSeconds === undefined ? undefined : `t=${Math.ceil(resetSeconds)}`,
    ]),
  };
}
