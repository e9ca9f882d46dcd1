import * as tf from "@tensorflow/tfjs-core";
import { DT, type NativeAttr, nativeBackend } from "./native.ts";

/**
 * Our own operations as kernels of tfjs, by the name that TensorFlow knows them by. A network asks
 * `tf.getKernel(name, tf.getBackend())` whether one is there, and calls it by `tf.engine().runKernel(name, inputs,
 * attributes)`; where it is not, it computes the same in tfjs's operations. Their gradients are
 * operations too, joined to them by the network: by `tf.customGrad`, or by `tf.registerGradient` where not every input's
 * gradient is always wanted.
 */
interface OwnKernel {
  /** The inputs' names, in TensorFlow's order; all of the element type `T`. */
  inputs: string[];
  /** The attributes beside `T`, and of which kind each is. */
  attributes: Record<string, "int" | "float" | "bool" | "string">;
  outputs: number;
}

/** By family, which is the name of its source under `kernels/`. */
const FAMILIES: Record<string, Record<string, OwnKernel>> = {
  convolution: {
    FunmatchConvolution: {
      inputs: ["x", "kernel"],
      attributes: { stride: "int", pad: "int", constant: "bool" },
      outputs: 1,
    },
    FunmatchConvolutionByInput: {
      inputs: ["dy", "kernel"],
      attributes: { stride: "int", pad: "int", height: "int", width: "int" },
      outputs: 1,
    },
    FunmatchConvolutionByKernel: {
      inputs: ["x", "dy"],
      attributes: { stride: "int", pad: "int", side: "int" },
      outputs: 1,
    },
  },
  group_norm_relu: {
    FunmatchGroupNormRelu: {
      inputs: ["x", "scale", "bias"],
      attributes: { groups: "int", epsilon: "float" },
      outputs: 3,
    },
    FunmatchGroupNormReluGrad: {
      inputs: ["dy", "x", "scale", "bias", "mean", "inverse"],
      attributes: {},
      outputs: 3,
    },
  },
  weight_standardization: {
    FunmatchWeightStandardization: { inputs: ["kernel"], attributes: { epsilon: "float" }, outputs: 2 },
    FunmatchWeightStandardizationGrad: {
      inputs: ["dy", "standard", "inverse"],
      attributes: {},
      outputs: 1,
    },
  },
  batch_norm: {
    FunmatchChannelMoments: { inputs: ["x"], attributes: {}, outputs: 2 },
    FunmatchBatchNorm: {
      inputs: ["x", "scale", "bias", "mean", "variance"],
      attributes: { activation: "string", epsilon: "float" },
      outputs: 1,
    },
    FunmatchBatchNormGrad: {
      inputs: ["dy", "x", "scale", "bias", "mean", "variance"],
      attributes: { activation: "string", epsilon: "float" },
      outputs: 3,
    },
  },
  max_pool: {
    FunmatchMaxPool: {
      inputs: ["x"],
      attributes: { side: "int", stride: "int", pad: "int" },
      outputs: 2,
    },
    FunmatchMaxPoolGrad: {
      inputs: ["dy", "place"],
      attributes: { side: "int", stride: "int", pad: "int", height: "int", width: "int" },
      outputs: 1,
    },
  },
  layer_norm: {
    FunmatchLayerNorm: { inputs: ["x", "scale", "bias"], attributes: { epsilon: "float" }, outputs: 3 },
    FunmatchLayerNormGrad: {
      inputs: ["dy", "x", "scale", "mean", "inverse"],
      attributes: {},
      outputs: 3,
    },
  },
  gelu: {
    FunmatchGelu: { inputs: ["x"], attributes: {}, outputs: 1 },
    FunmatchGeluGrad: { inputs: ["dy", "x"], attributes: {}, outputs: 1 },
  },
  adam: {
    FunmatchSumOfSquares: { inputs: ["x"], attributes: {}, outputs: 1 },
    FunmatchAdam: {
      inputs: ["param", "gradient", "mu", "nu", "clipping", "rate", "epsilon", "decay"],
      attributes: { keep1: "float", take1: "float", keep2: "float", take2: "float", narrow: "bool" },
      outputs: 4,
    },
  },
};

/** Makes the operations of the loaded families known to tfjs; once a thread. */
export function registerKernels(families: string[]): void {
  for (const family of families) {
    for (const [name, kernel] of Object.entries(FAMILIES[family] ?? {})) {
      if (tf.getKernel(name, "tensorflow") !== undefined) continue;
      tf.registerKernel({ kernelName: name, backendName: "tensorflow", kernelFunc: kernelOf(name, kernel) });
    }
  }
}

/** Runs `fn` as if tfjs did not know our own operations, or only not those that are named: networks then take tfjs's. */
export function withoutKernels<T>(fn: () => T, names = allNames()): T {
  const hidden = names.flatMap((name) => tf.getKernel(name, tf.getBackend()) ?? []);
  for (const { kernelName, backendName } of hidden) tf.unregisterKernel(kernelName, backendName);
  try {
    return fn();
  } finally {
    for (const kernel of hidden) tf.registerKernel(kernel);
  }
}

function allNames(): string[] {
  return Object.values(FAMILIES).flatMap((family) => Object.keys(family));
}

function kernelOf(name: string, { inputs, attributes, outputs }: OwnKernel): tf.KernelFunc {
  return (given) => {
    const backend = nativeBackend();
    const { binding } = backend;
    const types = {
      int: binding.TF_ATTR_INT,
      float: binding.TF_ATTR_FLOAT,
      bool: binding.TF_ATTR_BOOL,
      string: binding.TF_ATTR_STRING,
    };
    const attrs: NativeAttr[] = [{ name: "T", type: binding.TF_ATTR_TYPE, value: DT.float }];
    for (const [attribute, kind] of Object.entries(attributes)) {
      const value = (given.attrs as Record<string, NativeAttr["value"]>)[attribute] as number;
      attrs.push({ name: attribute, type: types[kind], value });
    }
    const tensors = inputs.map((input) => given.inputs[input] as tf.TensorInfo);
    const results = binding.executeOp(name, attrs, backend.getInputTensorIds(tensors), outputs);
    return results.map((result) => backend.createOutputTensor(result));
  };
}
