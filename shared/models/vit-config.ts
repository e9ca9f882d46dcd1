/** What tells one ViT from another. */
export interface ViTConfig {
  width: number;
  depth: number;
  /** Channels inside the two-layer networks. */
  mlp: number;
  heads: number;
  /** Side of a patch in pixels; what does not fill a patch is left out, at the right and at the bottom. */
  patch: number;
  /** Position embedding: trained, or fixed sines and cosines of the two coordinates. */
  positions: "learn" | "sincos2d";
  /** What the head reads: the mean of all tokens, an attention over them, or a token of its own. */
  pool: "gap" | "map" | "tok";
  /** Height and width of the images in pixels. */
  image: [number, number];
  classes: number;
}

const VARIANTS = {
  Ti: { width: 192, depth: 12, mlp: 768, heads: 3 },
  S: { width: 384, depth: 12, mlp: 1536, heads: 6 },
  B: { width: 768, depth: 12, mlp: 3072, heads: 12 },
};

export type ViTVariant = keyof typeof VARIANTS;

/**
 * Width, depth and heads of a customary size.
 *
 * @example const config = { ...vitVariant("S"), patch: 16, positions: "sincos2d", pool: "gap", image: [224, 224], classes: 1000 }
 */
export function vitVariant(name: ViTVariant): Pick<ViTConfig, "width" | "depth" | "mlp" | "heads"> {
  return { ...VARIANTS[name] };
}

/** Patches down and across an image. */
export function patchGrid({ image, patch }: ViTConfig): [number, number] {
  const grid = image.map((side) => Math.floor(side / patch)) as [number, number];
  if (!grid.every((side) => side >= 1))
    throw new RangeError(`a patch of ${patch} pixels does not fit into an image of ${image.join("×")}`);
  return grid;
}

/** Path of an encoder block, counted from 0. */
export function encoderBlock(layer: number): string {
  return `Transformer/encoderblock_${layer}`;
}

/** Every parameter with its shape under big_vision's names, in the order of the forward pass. */
export function vitShapes(config: ViTConfig): Record<string, number[]> {
  const { width, depth, mlp, heads, patch, positions, pool, classes } = config;
  if (width % heads !== 0) throw new RangeError(`ViT: ${heads} heads do not divide a width of ${width}`);
  if (positions === "sincos2d" && (width % 4 !== 0 || width < 8))
    throw new RangeError(`ViT: sincos2d needs a width that is a multiple of 4 from 8, not ${width}`);
  const shapes: Record<string, number[]> = {};
  const norm = (name: string): void => {
    shapes[`${name}/scale`] = [width];
    shapes[`${name}/bias`] = [width];
  };
  const dense = (name: string, kernel: number[], bias: number[]): void => {
    shapes[`${name}/kernel`] = kernel;
    shapes[`${name}/bias`] = bias;
  };
  const attention = (name: string): void => {
    const split = [heads, width / heads];
    for (const part of ["query", "key", "value"]) dense(`${name}/${part}`, [width, ...split], split);
    dense(`${name}/out`, [...split, width], [width]);
  };
  const twoLayers = (name: string): void => {
    dense(`${name}/Dense_0`, [width, mlp], [mlp]);
    dense(`${name}/Dense_1`, [mlp, width], [width]);
  };
  dense("embedding", [patch, patch, 3, width], [width]);
  const [down, across] = patchGrid(config);
  if (positions === "learn") shapes.pos_embedding = [1, down * across, width];
  if (pool === "tok") shapes.cls = [1, 1, width];
  for (let layer = 0; layer < depth; layer++) {
    const name = encoderBlock(layer);
    norm(`${name}/LayerNorm_0`);
    attention(`${name}/MultiHeadDotProductAttention_0`);
    norm(`${name}/LayerNorm_1`);
    twoLayers(`${name}/MlpBlock_0`);
  }
  norm("Transformer/encoder_norm");
  if (pool === "map") {
    shapes["MAPHead_0/probe"] = [1, 1, width];
    attention("MAPHead_0/MultiHeadDotProductAttention_0");
    norm("MAPHead_0/LayerNorm_0");
    twoLayers("MAPHead_0/MlpBlock_0");
  }
  dense("head", [width, classes], [classes]);
  return shapes;
}
