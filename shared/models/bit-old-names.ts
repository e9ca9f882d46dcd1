/**
 * Translates a parameter's name in the older BiT release (google-research/big_transfer) to big_vision's, as
 * big_vision's own loader does. Some of those files number their layers (`standardized_conv2d_1`): the number means
 * nothing, the letter before it says which layer of the unit it is.
 *
 * @returns undefined for what is not a parameter of the network
 * @example oldBitName("resnet/block1/unit01/b/standardized_conv2d_4/kernel") // "block1/unit01/conv2/kernel"
 */
export function oldBitName(name: string): string | undefined {
  const plain = name.replace(/\/(standardized_conv2d|group_norm|conv2d)_\d+\//g, "/$1/");
  const fixed = FIXED[plain];
  if (fixed) return fixed;
  const unit = /^resnet\/(block\d+\/unit\d+)\/(.*)$/.exec(plain);
  const layer =
    unit && /^([abc])\/(proj\/)?(?:standardized_conv2d\/kernel|group_norm\/(gamma|beta))$/.exec(unit[2]!);
  if (!unit || !layer) return undefined;
  const [, letter, projection, affine] = layer;
  const index = "abc".indexOf(letter!) + 1;
  if (projection) return letter === "a" && !affine ? `${unit[1]}/conv_proj/kernel` : undefined;
  return affine ? `${unit[1]}/gn${index}/${AFFINE[affine]}` : `${unit[1]}/conv${index}/kernel`;
}

const AFFINE: Record<string, string> = { gamma: "scale", beta: "bias" };

const FIXED: Record<string, string> = {
  "resnet/root_block/standardized_conv2d/kernel": "root_block/conv_root/kernel",
  "resnet/group_norm/gamma": "norm-pre-head/scale",
  "resnet/group_norm/beta": "norm-pre-head/bias",
  "resnet/head/conv2d/kernel": "head/kernel",
  "resnet/head/conv2d/bias": "head/bias",
};
