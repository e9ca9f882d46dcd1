import type { ForeignConfig } from "../config/model-config.ts";
import { ModelFileError } from "./network.ts";

/**
 * Which way a network takes images, by the shape of its input.
 *
 * @param where names the input in errors
 * @param shape undefined where the network leaves a size open, or altogether where it tells none
 * @returns `batch` only where the network takes no other
 * @throws ModelFileError when images of the config's resolution do not fit
 */
export function pictureInput(
  { resolution, layout: wanted }: Pick<ForeignConfig, "resolution" | "layout">,
  where: string,
  shape: readonly (number | undefined)[] | undefined,
): { layout: "nhwc" | "nchw"; batch?: number } {
  if (!shape) {
    if (wanted) return { layout: wanted };
    throw new ModelFileError(`${where} tells no shape: say layout: nhwc or layout: nchw`);
  }
  const told = `[${shape.map((size) => size ?? "?").join(",")}]`;
  if (shape.length !== 4) throw new ModelFileError(`${where} is ${told}, expected images of four axes`);
  const fits = (layout: "nhwc" | "nchw"): boolean => {
    const pixels = layout === "nhwc" ? [resolution, resolution, 3] : [3, resolution, resolution];
    return pixels.every((size, axis) => (shape[axis + 1] ?? size) === size);
  };
  const fitting = (wanted ? [wanted] : (["nhwc", "nchw"] as const)).filter(fits);
  if (fitting.length === 0)
    throw new ModelFileError(
      `${where} is ${told}: images of ${resolution}x${resolution}x3 do not fit it${wanted ? ` as ${wanted}` : ""}`,
    );
  if (fitting.length === 2) throw new ModelFileError(`${where} is ${told}: say layout: nhwc or layout: nchw`);
  return { layout: fitting[0]!, ...(shape[0] !== undefined && { batch: shape[0] }) };
}
