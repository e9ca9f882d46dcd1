/** What many measured values became: how they lay between the first and the last step of a stretch. */
export interface Point {
  step: number;
  mean: number;
  min: number;
  max: number;
  count: number;
}

/** A curve that is kept in bounded memory however long the run is. */
export interface Series {
  add(step: number, value: number): void;
  points(): Point[];
}

/**
 * Collects a curve of at most `2 * most` points, and at least `most` once there are that many values: whenever
 * there would be more, neighbours are joined in pairs, keeping mean, minimum and maximum.
 */
export function series(most: number): Series {
  let points: Point[] = [];
  let values = 1; // in a full point
  return {
    add(step, value) {
      if (!Number.isFinite(value)) return;
      const last = points.at(-1);
      const one = { step, mean: value, min: value, max: value, count: 1 };
      if (last && last.count < values) points[points.length - 1] = joined(last, one);
      else points.push(one);
      if (points.length <= 2 * most) return;
      values *= 2;
      const pairs: Point[] = [];
      for (let i = 0; i < points.length; i += 2) {
        const [a, b] = [points[i] as Point, points[i + 1]];
        pairs.push(b ? joined(a, b) : a);
      }
      points = pairs;
    },
    points: () => points,
  };
}

function joined(a: Point, b: Point): Point {
  const count = a.count + b.count;
  const mean = a.mean + ((b.mean - a.mean) * b.count) / count;
  return { step: b.step, mean, min: Math.min(a.min, b.min), max: Math.max(a.max, b.max), count };
}
