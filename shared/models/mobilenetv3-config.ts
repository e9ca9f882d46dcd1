import type { Activation } from "./activation.ts";
/** What tells one MobileNetV3 from another. */
export interface MobileNetV3Config {
  size: "small" | "large";
  /** Width multiplier of every layer but the root and, below 1, the last hidden one; Keras's `alpha`. */
  width: number;
  classes: number;
  /** Share of the running statistics that a step keeps; Keras's is 0.999, which short runs never fill. */
  momentum: number;
}

/** An inverted residual block: expand, depthwise convolution, squeeze and excite, project. */
export interface Block {
  name: string;
  input: number;
  /** Channels of the depthwise convolution. The first block of a network has no expanding convolution. */
  middle: number;
  output: number;
  kernel: 3 | 5;
  stride: 1 | 2;
  /** Channels that squeeze-and-excite squeezes to, if the block has it. */
  squeezed?: number;
  activation: Activation;
}

type Row = [expansion: number, channels: number, kernel: 3 | 5, stride: 1 | 2, se: boolean, Activation];

/** Tables 1 and 2 of Searching for MobileNetV3 (arXiv 1905.02244), with Keras's expansion factors. */
const ROWS: Record<MobileNetV3Config["size"], Row[]> = {
  large: [
    [1, 16, 3, 1, false, "relu"],
    [4, 24, 3, 2, false, "relu"],
    [3, 24, 3, 1, false, "relu"],
    [3, 40, 5, 2, true, "relu"],
    [3, 40, 5, 1, true, "relu"],
    [3, 40, 5, 1, true, "relu"],
    [6, 80, 3, 2, false, "hardSwish"],
    [2.5, 80, 3, 1, false, "hardSwish"],
    [2.3, 80, 3, 1, false, "hardSwish"],
    [2.3, 80, 3, 1, false, "hardSwish"],
    [6, 112, 3, 1, true, "hardSwish"],
    [6, 112, 3, 1, true, "hardSwish"],
    [6, 160, 5, 2, true, "hardSwish"],
    [6, 160, 5, 1, true, "hardSwish"],
    [6, 160, 5, 1, true, "hardSwish"],
  ],
  small: [
    [1, 16, 3, 2, true, "relu"],
    [72 / 16, 24, 3, 2, false, "relu"],
    [88 / 24, 24, 3, 1, false, "relu"],
    [4, 40, 5, 2, true, "hardSwish"],
    [6, 40, 5, 1, true, "hardSwish"],
    [6, 40, 5, 1, true, "hardSwish"],
    [3, 48, 5, 1, true, "hardSwish"],
    [3, 48, 5, 1, true, "hardSwish"],
    [6, 96, 5, 2, true, "hardSwish"],
    [6, 96, 5, 1, true, "hardSwish"],
    [6, 96, 5, 1, true, "hardSwish"],
  ],
};

const HIDDEN = { small: 1024, large: 1280 };
const ROOT = 16;

/** A channel count as a multiple of 8, never more than 10 % below what was asked for. */
function multipleOf8(channels: number): number {
  const near = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return near < 0.9 * channels ? near + 8 : near;
}

/** The blocks of a network in order, named `block00`, `block01`, … */
export function mobileNetV3Blocks({ size, width }: MobileNetV3Config): Block[] {
  if (!(width > 0)) throw new RangeError(`MobileNetV3 has no width ${width}: give a positive number`);
  let input = ROOT;
  return ROWS[size].map(([expansion, channels, kernel, stride, se, activation], i) => {
    const output = multipleOf8(channels * width);
    const expanded = multipleOf8(input * expansion);
    const block: Block = {
      name: `block${String(i).padStart(2, "0")}`,
      input,
      middle: i === 0 ? input : expanded,
      output,
      kernel,
      stride,
      ...(se ? { squeezed: multipleOf8(expanded * 0.25) } : {}),
      activation,
    };
    input = output;
    return block;
  });
}

/** Every parameter and running statistic (`…/mean`, `…/variance`) of a network, in the order of the forward pass. */
export function mobileNetV3Shapes(config: MobileNetV3Config): Record<string, number[]> {
  const shapes: Record<string, number[]> = {};
  const norm = (name: string, channels: number): void => {
    for (const part of ["scale", "bias", "mean", "variance"]) shapes[`${name}/${part}`] = [channels];
  };
  const conv = (name: string, kernel: number[], bias = false): void => {
    shapes[`${name}/kernel`] = kernel;
    if (bias) shapes[`${name}/bias`] = [kernel.at(-1)!];
  };
  conv("conv", [3, 3, 3, ROOT]);
  norm("conv_bn", ROOT);
  const blocks = mobileNetV3Blocks(config);
  for (const [i, { name, input, middle, output, kernel, squeezed }] of blocks.entries()) {
    if (i > 0) {
      conv(`${name}/expand`, [1, 1, input, middle]);
      norm(`${name}/expand_bn`, middle);
    }
    conv(`${name}/depthwise`, [kernel, kernel, middle, 1]);
    norm(`${name}/depthwise_bn`, middle);
    if (squeezed) {
      conv(`${name}/squeeze`, [1, 1, middle, squeezed], true);
      conv(`${name}/excite`, [1, 1, squeezed, middle], true);
    }
    conv(`${name}/project`, [1, 1, middle, output]);
    norm(`${name}/project_bn`, output);
  }
  const last = blocks.at(-1)!.output;
  const wide = multipleOf8(last * 6);
  conv("conv_1", [1, 1, last, wide]);
  norm("conv_1_bn", wide);
  const hidden = config.width > 1 ? multipleOf8(HIDDEN[config.size] * config.width) : HIDDEN[config.size];
  conv("conv_2", [1, 1, wide, hidden], true);
  conv("head", [hidden, config.classes], true);
  return shapes;
}
