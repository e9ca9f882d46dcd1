import { bit } from "./bit.ts";
import { type BitConfig, bitShapes, type Weights } from "./bit-config.ts";
import { initBit } from "./bit-init.ts";
import { mobileNetV3 } from "./mobilenetv3.ts";
import type { MobileNetV3Config } from "./mobilenetv3-config.ts";
import type { Network, NetworkFamily, Normal } from "./network.ts";
import { vit } from "./vit.ts";
import type { ViTConfig } from "./vit-config.ts";

/** Which network, as plain data. */
export type NetworkConfig =
  | ({ kind: "bit" } & BitConfig)
  | ({ kind: "mobilenetv3" } & MobileNetV3Config)
  | ({ kind: "vit" } & ViTConfig);

/** A network of one configuration; see `NetworkFamily`. */
export interface ChosenNetwork {
  shapes(): Record<string, number[]>;
  init(normal: Normal): Weights;
  apply(): Network;
}

const bitFamily: NetworkFamily<BitConfig> = { shapes: bitShapes, init: initBit, apply: bit };

/**
 * The network that a configuration asks for.
 *
 * @example const weights = networkOf({ kind: "bit", blocks: [1, 1], width: 0.5, classes: 10 }).init(normal);
 */
export function networkOf(config: NetworkConfig): ChosenNetwork {
  switch (config.kind) {
    case "bit":
      return chosen(bitFamily, config);
    case "mobilenetv3":
      return chosen(mobileNetV3, config);
    case "vit":
      return chosen(vit, config);
  }
}

function chosen<Config>(family: NetworkFamily<Config>, config: Config): ChosenNetwork {
  return {
    shapes: () => family.shapes(config),
    init: (normal) => family.init(config, normal),
    apply: () => family.apply(config),
  };
}
