export { type CropRange, centralCrop, inceptionCrop, randomCrop } from "./crop.ts";
export { DecodeError, decode, MAX_PIXELS } from "./decode.ts";
export { type Draws, draws, permutation } from "./draws.ts";
export type { Box, Image } from "./image.ts";
export { type PlacedView, writeFromJpeg } from "./jpeg-part.ts";
export { mixup, mixupLambda } from "./mixup.ts";
export { philox4x32 } from "./philox.ts";
export { resize, resizeBilinear, wholeOf } from "./resize.ts";
export { resizeSmall } from "./resize-small.ts";
export {
  drawFraming,
  type Framing,
  uncroppedSide,
  type ViewKind,
  writeCentralView,
  writeFramed,
  writeView,
} from "./view.ts";
