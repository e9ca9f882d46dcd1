import { ArrayFileError } from "./npy-header.ts";

/** Parameters by their path in big_vision's tree, such as `block1/unit01/conv1/kernel`; float32, row-major. */
export type Weights = Record<string, { shape: number[]; values: Float32Array }>;

/** What tells one BiT ResNet from another. */
export interface BitConfig {
  /** Units in each stage. */
  blocks: number[];
  /** Width factor: the root has 64 times as many channels. */
  width: number;
  classes: number;
}

/** Groups of every GroupNorm; a width that does not divide into them has no normalisation. */
export const GROUPS = 32;

/** Units per stage by customary depth; 26 is timm's. */
const BLOCKS_OF_DEPTH: Record<number, number[]> = {
  26: [2, 2, 2, 2],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
  200: [3, 24, 36, 3],
};

/**
 * Units per stage of a depth given as 26, 50, 101, 152 or 200.
 *
 * @example bitBlocks(50) // [3, 4, 6, 3]
 */
export function bitBlocks(depth: number): number[] {
  const blocks = BLOCKS_OF_DEPTH[depth];
  if (!blocks)
    throw new RangeError(
      `BiT has no depth ${depth}: choose ${Object.keys(BLOCKS_OF_DEPTH).join(", ")}, or give the units of each stage`,
    );
  return [...blocks];
}

/** Channels of the root, checked: GroupNorm's 32 groups need a multiple of 32, so widths are multiples of 0.5. */
function rootChannels(width: number): number {
  const channels = 64 * width;
  if (!(channels > 0) || channels % GROUPS !== 0)
    throw new RangeError(
      `BiT of width ${width} would have ${channels} root channels, which GroupNorm cannot split into ${GROUPS} groups: use a multiple of 0.5`,
    );
  return channels;
}

/** Every parameter of a model, with its shape, in the order of the forward pass. */
export function bitShapes({ blocks, width, classes }: BitConfig): Record<string, number[]> {
  const root = rootChannels(width);
  const shapes: Record<string, number[]> = { "root_block/conv_root/kernel": [7, 7, 3, root] };
  let input = root;
  blocks.forEach((units, stage) => {
    const middle = root * 2 ** stage;
    for (let unit = 1; unit <= units; unit++) {
      const name = unitName(stage, unit);
      const norm = (which: string, channels: number): void => {
        shapes[`${name}/${which}/scale`] = [1, 1, 1, channels];
        shapes[`${name}/${which}/bias`] = [1, 1, 1, channels];
      };
      norm("gn1", input);
      if (unit === 1) shapes[`${name}/conv_proj/kernel`] = [1, 1, input, 4 * middle];
      shapes[`${name}/conv1/kernel`] = [1, 1, input, middle];
      norm("gn2", middle);
      shapes[`${name}/conv2/kernel`] = [3, 3, middle, middle];
      norm("gn3", middle);
      shapes[`${name}/conv3/kernel`] = [1, 1, middle, 4 * middle];
      input = 4 * middle;
    }
  });
  shapes["norm-pre-head/scale"] = [1, 1, 1, input];
  shapes["norm-pre-head/bias"] = [1, 1, 1, input];
  shapes["head/kernel"] = [input, classes];
  shapes["head/bias"] = [classes];
  return shapes;
}

/** Path of a unit; stages count from 0, units from 1 as in the names. */
export function unitName(stage: number, unit: number): string {
  return `block${stage + 1}/unit${String(unit).padStart(2, "0")}`;
}

/**
 * Reads a model's configuration off the names and shapes of its parameters.
 *
 * @throws ArrayFileError when they are not those of one whole BiT model, naming the first that is missing, left over
 *   or misshapen
 */
export function bitConfigOf(weights: Weights): BitConfig {
  const root = weights["root_block/conv_root/kernel"];
  const head = weights["head/kernel"];
  if (!root || !head)
    throw new ArrayFileError(
      `not a BiT model: it has no ${root ? "head/kernel" : "root_block/conv_root/kernel"} (has ${someNames(Object.keys(weights))})`,
    );
  const blocks: number[] = [];
  for (const name of Object.keys(weights)) {
    const found = /^block(\d+)\/unit(\d+)\//.exec(name);
    if (!found) continue;
    const stage = Number(found[1]) - 1;
    while (blocks.length <= stage && stage < 64) blocks.push(0);
    blocks[stage] = Math.max(blocks[stage] ?? 0, Number(found[2]));
  }
  const config = { blocks, width: root.shape[3]! / 64, classes: head.shape[1]! };
  checkShapes(weights, config);
  return config;
}

function checkShapes(weights: Weights, config: BitConfig): void {
  const wanted = bitShapes(config);
  for (const [name, shape] of Object.entries(wanted)) {
    const found = weights[name];
    if (!found) throw new ArrayFileError(`not a whole BiT model: ${name} is missing`);
    if (found.shape.join() !== shape.join())
      throw new ArrayFileError(`${name} has shape [${found.shape}], a BiT model needs [${shape}]`);
  }
  const left = Object.keys(weights).filter((name) => !Object.hasOwn(wanted, name));
  if (left.length > 0) throw new ArrayFileError(`not a BiT model: it also has ${someNames(left)}`);
}

function someNames(names: string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
}

/** Numbers in all parameters together. */
export function parameterCount(weights: Weights): number {
  return Object.values(weights).reduce((sum, { values }) => sum + values.length, 0);
}
