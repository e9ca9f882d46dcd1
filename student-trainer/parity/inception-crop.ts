import { draws, inceptionCrop } from "@funmatch/views";
import { type Check, type Row, worst } from "./check.ts";
import type { Golden } from "./golden.ts";

/** Ten times what the golden README asks for: what differs then is the golden sample's own noise, not ours too. */
const SAMPLES = 200_000;
const RELATIVE = 0.03;

interface Stats {
  area_frac_quantiles: Record<string, number>;
  aspect_wh_quantiles: Record<string, number>;
}

/** Distribution of crops for each image size, `HEIGHTxWIDTH`. */
export async function inceptionCropRow(golden: Golden): Promise<Row> {
  const sizes = golden.json<Record<string, Stats>>("inception_crop_stats.json");
  const checks = Object.entries(sizes).flatMap(([size, stats]) => {
    const [height, width] = size.split("x").map(Number) as [number, number];
    const { areas, aspects } = sample(height, width);
    return [
      worst(`${size} area`, checkQuantiles(areas, stats.area_frac_quantiles)),
      worst(`${size} aspect`, checkQuantiles(aspects, stats.aspect_wh_quantiles)),
    ];
  });
  return { name: "inception_crop", checks };
}

function sample(height: number, width: number): { areas: Float64Array; aspects: Float64Array } {
  const d = draws(0, "parity", height, width);
  const areas = new Float64Array(SAMPLES);
  const aspects = new Float64Array(SAMPLES);
  for (let i = 0; i < SAMPLES; i++) {
    const box = inceptionCrop(d, height, width);
    areas[i] = (box.height * box.width) / (height * width);
    aspects[i] = box.width / box.height;
  }
  return { areas: areas.sort(), aspects: aspects.sort() };
}

function checkQuantiles(sorted: Float64Array, golden: Record<string, number>): Check[] {
  return Object.entries(golden).map(([percent, value]) => {
    const p = Number(percent) / 100;
    const ours = sorted[Math.round(p * (sorted.length - 1))]!;
    const absolute = Math.abs(ours - value);
    const relative = absolute / value;
    return {
      what: `${percent} %`,
      absolute,
      relative,
      allowed: `${RELATIVE} rel`,
      used: relative / RELATIVE,
    };
  });
}
