/** What a batch size computed for a few images, each of them at every position. */
export interface Probe {
  readonly images: number;
  /** Of one pass. */
  readonly seconds: number;
  /** [P, K]: the logits of the P probe images. */
  readonly logits: Float32Array;
  /** Whether an image's logits were the same bits at every position, in every pass. */
  readonly steady: boolean;
}

/** Whether two arrays hold the same bits; NaN equals itself, 0 and -0 differ. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = (x: Float32Array) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}

type Input = "uint8" | "float32";

const CHANNELS = 3;
const PROBE_IMAGES = 4;

/**
 * Computes a few images at every position of a batch.
 *
 * @param inputs each is computed once at least; of the first one every position sees several images
 * @param run computes a batch: [size, resolution, resolution, 3] as little-endian bytes → [size, classes]
 */
export async function probe(
  { size, resolution, classes }: { size: number; resolution: number; classes: number },
  inputs: readonly Input[],
  run: (input: Input, batch: Uint8Array) => Float32Array | Promise<Float32Array>,
): Promise<Probe> {
  const images = probeImages(resolution);
  const logits = new Float32Array(images.length * classes);
  const known = new Set<number>();
  let steady = true;
  let seconds = Number.POSITIVE_INFINITY;
  // Two rounds show each position two images; a size smaller than the number of images needs more to show all.
  for (let round = 0; round < Math.max(2, Math.ceil(images.length / size)); round++) {
    const shown = Array.from({ length: size }, (_, at) => (at + round) % images.length);
    const batch = new Uint8Array(size * images[0]!.length);
    shown.forEach((which, at) => {
      batch.set(images[which]!, at * images[0]!.length);
    });
    for (const input of round === 0 ? inputs : inputs.slice(0, 1)) {
      const started = performance.now();
      const data = input === "uint8" ? batch : new Uint8Array(Float32Array.from(batch).buffer);
      const found = await run(input, data);
      seconds = Math.min(seconds, (performance.now() - started) / 1000);
      shown.forEach((which, at) => {
        const row = found.subarray(at * classes, (at + 1) * classes);
        const first = logits.subarray(which * classes, (which + 1) * classes);
        if (known.has(which)) steady &&= sameBits(row, first);
        else first.set(row);
        known.add(which);
      });
    }
  }
  return { images: size, seconds, logits, steady };
}

/** Images of noise, the same in every run: a linear congruential sequence, high bits. */
function probeImages(resolution: number): Uint8Array[] {
  let state = 1;
  return Array.from({ length: PROBE_IMAGES }, () =>
    Uint8Array.from({ length: resolution * resolution * CHANNELS }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
}
